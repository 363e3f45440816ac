"""The tiles in which a whole slide is looked at: of one resolution, overlapping, without empty ones.

Free of torch: worker processes import it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from wbc.errors import ImageError
from wbc.images.boxes import Box
from wbc.images.empty_field import absorbance, brightest_part
from wbc.images.same_cells import Overlap
from wbc.images.slides import Slide
from wbc.images.white_cells import red_cell_radius

UM_PER_PX = 0.4  # at which a tile is looked at: red cells then have a radius of 9 px
TILE_PX = 1024  # a side
MARGIN_UM = 40.0  # that neighbours have in common: more than the largest cell, so that one has it whole
OVERVIEW_PX = 4096
_RED_CELL_UM = 3.75  # radius
_STAINED = 0.08  # absorbance of green light in the overview, from which there is something
_LEAST_STAINED = 4  # pixels of it, of a tile
_ASKED = 8  # tiles, for their red cells


class Tiles(NamedTuple):
    """boxes: in pixels of the slide.  px: of these to a pixel of a tile.  overlaps: of neighbours.

    grid: how many there would be with the empty ones.
    """

    boxes: list[Box]
    px: float
    overlaps: list[Overlap]
    grid: int


def tiles_of(slide: Slide, path: str) -> Tiles:
    """Those of a slide in which the overview shows anything stained; all where there is no overview.

    Raises ImageError where the file does not say how large a pixel is, and no red cells say so.
    """
    overview = slide.overview(OVERVIEW_PX)
    if slide.um_per_px is not None:
        px = max(1.0, UM_PER_PX / slide.um_per_px)
    else:
        windows, _, _ = _kept(slide, overview, 1.0)
        px = max(1.0, UM_PER_PX / _um_by_red_cells(slide, windows, path))
    boxes, overlaps, grid = _kept(slide, overview, px)
    return Tiles(boxes, px, overlaps, grid)


def _kept(slide: Slide, overview: np.ndarray | None, px: float) -> tuple[list[Box], list[Overlap], int]:
    side = min(round(TILE_PX * px), max(slide.width, slide.height))
    step = side - round(MARGIN_UM / UM_PER_PX * px)
    stained = None if overview is None else _stained(overview)
    numbers: dict[tuple[int, int], int] = {}
    boxes: list[Box] = []
    columns, rows = (_starts(length, side, step) for length in (slide.width, slide.height))
    for row, y in enumerate(rows):
        for column, x in enumerate(columns):
            box = Box(x, y, x + side, y + side).within(slide.width, slide.height)
            if stained is None or _holds_something(stained, box, slide):
                numbers[row, column] = len(boxes)
                boxes.append(box)
    overlaps = [
        Overlap(number, numbers[row + down, column + across], 0, 0)
        for (row, column), number in numbers.items()
        for down, across in ((0, 1), (1, -1), (1, 0), (1, 1))
        if (row + down, column + across) in numbers
    ]
    return boxes, overlaps, len(rows) * len(columns)


def _starts(length: int, side: int, step: int) -> list[int]:
    """Of tiles along a side of the slide, evenly spread and at most `step` apart; the last ends with it."""
    room = max(length - side, 0)
    return np.linspace(0, room, math.ceil(room / step) + 1).round().astype(int).tolist()


def _stained(overview: np.ndarray) -> np.ndarray:
    """(h, w) bool."""
    return absorbance(overview, brightest_part(overview))[..., 1] > _STAINED


def _holds_something(stained: np.ndarray, box: Box, slide: Slide) -> bool:
    height, width = stained.shape
    columns = [edge * width / slide.width for edge in (box.x0, box.x1)]
    rows = [edge * height / slide.height for edge in (box.y0, box.y1)]
    part = stained[int(rows[0]) : int(rows[1]) + 1, int(columns[0]) : int(columns[1]) + 1]
    return bool(np.count_nonzero(part) >= min(_LEAST_STAINED, part.size))


def _um_by_red_cells(slide: Slide, windows: list[Box], path: str) -> float:
    """Micrometres of a pixel, by the red cells in some windows that are spread over the slide."""
    spread = np.linspace(0, len(windows) - 1, min(_ASKED, len(windows))).astype(int).tolist()
    radii = [red_cell_radius(slide.region(windows[place])) for place in spread]
    known = [radius for radius in radii if radius is not None]
    if not known:
        raise ImageError(
            path,
            "says not how large a pixel is, and no red cells are found that would; export it anew with its "
            "resolution",
        )
    return _RED_CELL_UM / float(np.median(known))
