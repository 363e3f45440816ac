"""The white cells of photographs, as a list of the crops that the network is to be shown.

It is done in parts that stay until all is answered: after an interruption those that are missing are done.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wbc.datasets.image_list import ImageList, Listed
from wbc.errors import ConfigError, ImageError
from wbc.images.decode import decode
from wbc.images.field_crops import cells_to_crop
from wbc.images.slides import NEEDED, NOT_INSTALLED, is_slide
from wbc.predicting.found_cells import (
    FOUND,
    FoundCell,
    Searched,
    read_searched,
    table_rows,
    write_searched,
)
from wbc.predicting.overlaps import counted_once
from wbc.predicting.slide_search import cells_of_slide, forget
from wbc.utils.files import replacing
from wbc.utils.machine import available_cores
from wbc.utils.modules import missing_modules
from wbc.utils.progress import Progress

NO_CELL = "no cell"  # beside the statuses of cells
_PHOTOGRAPHS_A_CORE = 4  # of a part


def list_cells(
    photographs: Path, listed: Path, usual_share: float, empty: Path, overlaps: Path | None
) -> Counter[str]:
    """Find the cells of the photographs that the list `photographs` has, and list their crops in `listed`.

    A photograph that cannot be read is listed itself: answering says why.  usual_share: of a crop's side that
    the nucleus takes in the pictures that the model knows; 0 where it does not tell.  empty: where to name
    the photographs without a cell.  overlaps: where to say which photographs of one group have a part in
    common; None where they are not asked about.
    Returns how many cells there are of each status, "" for those to be answered, and how many photographs of
    none under NO_CELL.
    """
    images = ImageList(photographs, _PHOTOGRAPHS_A_CORE * available_cores())
    parts = [listed.with_name(f"found_{number:08d}.jsonl") for number in range(len(images))]
    with Progress("finding cells", "photograph", images.images) as bar:
        for number, part in enumerate(parts):
            some = images.batch(number)
            if part.exists():
                bar.found(len(some))
                continue
            searched = []
            for one in _looked_at(some, usual_share, part):
                searched.append(one)
                bar.update(1)
            write_searched(part, searched)
            forget(part.with_suffix(""))
    everything = (one for part in parts for one in read_searched(part))
    once = everything if overlaps is None else counted_once(everything, overlaps)
    counts = _write_lists(once, listed, empty)
    for part in parts:
        part.unlink()
    return counts


def _write_lists(photographs: Iterator[Searched], listed: Path, empty: Path) -> Counter[str]:
    counts = Counter[str]()
    with (
        replacing(empty) as empty_beside,
        empty_beside.open("w", encoding="utf-8", newline="") as without,
        replacing(listed) as list_beside,
        list_beside.open("w", encoding="ascii", newline="\n") as lines,
        replacing(listed.with_name(FOUND)) as table_beside,
        table_beside.open("w", encoding="utf-8", newline="") as file,
    ):
        table, names = csv.writer(file), csv.writer(without)
        names.writerow(["photograph"])
        for one in photographs:
            if one.unreadable:
                lines.write(json.dumps(Listed(one.path, one.group)) + "\n")
            elif not one.cells:
                counts[NO_CELL] += 1
                names.writerow([one.path])
            for cell in one.cells:
                counts[cell.status] += 1
                if not cell.status:
                    lines.write(json.dumps(Listed(one.crop_name(cell), one.group)) + "\n")
            table.writerows(table_rows(one))
    return counts


def _looked_at(images: Sequence[Listed], usual_share: float, part: Path) -> Iterator[Searched]:
    """Photographs side by side, slides one after another, their tiles side by side."""
    slides = [number for number, one in enumerate(images) if is_slide(one.path)]
    for number in slides:
        yield _slide(images[number], usual_share, part.with_name(f"{part.stem}_{number:04d}"))
    yield from _photographs([one for one in images if not is_slide(one.path)], usual_share)


def _slide(slide: Listed, usual_share: float, part: Path) -> Searched:
    try:
        slide.path.encode()
        if missing_modules(NEEDED):
            raise ConfigError(f"{slide.path}: {NOT_INSTALLED}")
        cells = cells_of_slide(slide.path, usual_share, part)
    except (ImageError, UnicodeEncodeError):
        return Searched(*slide, True, [])
    return Searched(*slide, False, cells)


def _photographs(photographs: Sequence[Listed], usual_share: float) -> Iterator[Searched]:
    def searched(photograph: Listed) -> Searched:
        try:
            photograph.path.encode()  # a name that is no UTF-8 could stand in no table
            rgb = decode(photograph.path)
        except (ImageError, UnicodeEncodeError):
            return Searched(photograph.path, photograph.group, True, [])
        cells = [FoundCell(cell.box, crop, cell.at_border) for cell, crop in cells_to_crop(rgb, usual_share)]
        return Searched(photograph.path, photograph.group, False, cells)

    with ThreadPoolExecutor(available_cores()) as pool:
        yield from pool.map(searched, photographs)
