"""The crops of a photograph's white cells, each as large as the pictures that a model knows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wbc.images.boxes import Box
from wbc.images.white_cells import WhiteCell, find_white_cells

_ASSUMED_SHARE = (
    0.35  # share of a crop's side that a nucleus takes, where the model does not tell what it knows
)


class CellToCrop(NamedTuple):
    """A cell, and the square of the photograph that the network is shown."""

    cell: WhiteCell
    crop: Box


def cells_to_crop(rgb: np.ndarray, usual_share: float) -> list[CellToCrop]:
    """The white cells of a photograph (H, W, 3) uint8 RGB, from the top down.

    usual_share: of a crop's side that the nucleus takes in the pictures that the model knows; 0 where it does
    not tell.
    """
    found = [CellToCrop(cell, crop_around(cell, usual_share, rgb.shape)) for cell in find_white_cells(rgb)]
    return sorted(found, key=lambda one: (one.cell.box.y0, one.cell.box.x0))


def crop_around(cell: WhiteCell, usual_share: float, shape: tuple[int, ...]) -> Box:
    """The square around the cell in which its nucleus is as large as in the pictures that the model knows.

    shape: height and width of the photograph, in which it stays.
    """
    box, (height, width) = cell.box, shape[:2]
    needed = max(box.x1 - box.x0, box.y1 - box.y0)
    side = min(max(round(cell.nucleus_diameter / (usual_share or _ASSUMED_SHARE)), needed), height, width)
    left = min(max((box.x0 + box.x1 - side) // 2, 0), width - side)
    top = min(max((box.y0 + box.y1 - side) // 2, 0), height - side)
    return Box(left, top, left + side, top + side)
