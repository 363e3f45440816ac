"""The white cells of a whole slide, tile by tile; tiles that are done stay done."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wbc.images.boxes import Box
from wbc.images.field_crops import crop_around
from wbc.images.same_cells import Outlined, same_cells
from wbc.images.slide_tiles import Tiles, tiles_of
from wbc.images.slides import Slide, open_slide
from wbc.images.white_cells import WhiteCell, find_white_cells
from wbc.predicting.found_cells import FoundCell
from wbc.utils.files import replacing
from wbc.utils.machine import available_cores
from wbc.utils.progress import Progress

_TILES_A_CORE = 16  # of a part: what a kill loses, at most


def cells_of_slide(path: str, usual_share: float, part: Path, slide: Slide | None = None) -> list[FoundCell]:
    """Those of a slide, in pixels of its highest resolution, from the top down.

    usual_share: as in `wbc.images.field_crops.cells_to_crop`.  part: the beginning of the names of files that
    hold what is done; `forget` removes them.  slide: instead of the one at `path`.
    Raises ImageError where it cannot be read.
    """
    tiles = tiles_of(slide or open_slide(path), path)
    cells = [cell for some in _of_parts(path, tiles, part, slide) for cell in some]  # a list a tile
    outlined = [[Outlined(cell.box, cell.at_border) for cell in of_tile] for of_tile in cells]
    same = same_cells(outlined, tiles.overlaps)
    left = {(which.photograph, which.cell) for which in same}
    whole = slide or open_slide(path)
    found = [
        FoundCell(cell.box, crop_around(cell, usual_share, (whole.height, whole.width)), cell.at_border)
        for number, of_tile in enumerate(cells)
        for place, cell in enumerate(of_tile)
        if (number, place) not in left
    ]
    return sorted(found, key=lambda cell: (cell.box.y0, cell.box.x0))


def forget(part: Path) -> None:
    """Remove what `cells_of_slide` kept."""
    for file in part.parent.glob(f"{part.name}_*.jsonl"):
        file.unlink()


def _of_parts(path: str, tiles: Tiles, part: Path, slide: Slide | None) -> list[list[list[WhiteCell]]]:
    def searched(box: Box) -> list[WhiteCell]:
        rgb = (slide or open_slide(path)).region(box, tiles.px)  # a thread has the file open for itself
        return [_on_slide(cell, box, tiles.px) for cell in find_white_cells(rgb)]

    size = _TILES_A_CORE * available_cores()
    done = []
    with (
        Progress(f"tiles of {Path(path).name}", "tile", len(tiles.boxes)) as bar,
        ThreadPoolExecutor(available_cores()) as pool,
    ):
        for start in range(0, len(tiles.boxes), size):
            some = tiles.boxes[start : start + size]
            file = part.with_name(f"{part.name}_{start:08d}.jsonl")
            if file.exists():
                bar.found(len(some))
            else:
                found = []
                for cells in pool.map(searched, some):
                    found.append(cells)
                    bar.update()
                with replacing(file) as beside:
                    beside.write_text("".join(json.dumps(cells) + "\n" for cells in found), encoding="ascii")
            with file.open(encoding="ascii") as lines:
                done.append([[_cell(*values) for values in json.loads(line)] for line in lines])
    return done


def _cell(box: list[int], nucleus_diameter: float, at_border: bool) -> WhiteCell:
    return WhiteCell(Box(*box), nucleus_diameter, at_border)


def _on_slide(cell: WhiteCell, tile: Box, px: float) -> WhiteCell:
    """A cell of a tile, in pixels of the slide."""
    box = Box(*(round(edge * px) for edge in cell.box)).moved(tile.x0, tile.y0)
    clipped = Box(*map(max, box[:2], tile[:2]), *map(min, box[2:], tile[2:]))
    return WhiteCell(clipped, cell.nucleus_diameter * px, cell.at_border)
