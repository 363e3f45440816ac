"""What tells a picture of one cell from another kind of picture, before any class is thought of.

Free of torch: worker processes import it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from wbc.images.cell_finder import FoundCell


class PictureMarks(NamedTuple):
    """Of one picture.

    warmth: its mean red less its mean blue, in grey levels.  Red cells, and glass under a lamp, are warm.
    cell_share: the cell's diameter over the picture's side (the root of its area); NaN without a cell.
    other_nuclei: that lie beside the cell.
    """

    warmth: float
    cell_share: float
    other_nuclei: int


def picture_marks(rgb: np.ndarray, cell: FoundCell | None) -> PictureMarks:
    """Of (H, W, 3) uint8 RGB, in which `cell` was found."""
    stride = max(1, min(rgb.shape[:2]) // 64)  # a mean needs no more pixels
    red, _, blue = rgb[::stride, ::stride].reshape(-1, 3).mean(axis=0)
    if cell is None:
        return PictureMarks(float(red - blue), math.nan, 0)
    share = cell.diameter / math.sqrt(rgb.shape[0] * rgb.shape[1])
    return PictureMarks(float(red - blue), share, cell.other_nuclei)
