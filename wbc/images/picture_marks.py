"""What tells a picture of one cell from another kind of picture, before any class is thought of.

Free of torch: worker processes import it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from wbc.images.cell_finder import FoundNucleus
from wbc.images.red_cells import nucleus_in_red_cells


class PictureMarks(NamedTuple):
    """Of one picture.

    warmth: its mean red less its mean blue, in grey levels.  Red cells, and glass under a lamp, are warm.
    nucleus_share: its diameter over the picture's side (the root of the area); NaN without a nucleus.
    other_nuclei: that lie beside it.  nucleus_in_red_cells: its diameter over theirs; NaN where it was not
    asked for, and where either is missing.
    """

    warmth: float
    nucleus_share: float
    other_nuclei: int
    nucleus_in_red_cells: float = math.nan


def picture_marks(rgb: np.ndarray, nucleus: FoundNucleus | None, red_cells: bool = False) -> PictureMarks:
    """Of (H, W, 3) uint8 RGB, in which `nucleus` was found.

    red_cells: whether they are looked for, which takes as long as all else together.
    """
    stride = max(1, min(rgb.shape[:2]) // 64)  # a mean needs no more pixels
    red, _, blue = rgb[::stride, ::stride].reshape(-1, 3).mean(axis=0)
    if nucleus is None:
        return PictureMarks(float(red - blue), math.nan, 0)
    share = nucleus.diameter / math.sqrt(rgb.shape[0] * rgb.shape[1])
    size = nucleus_in_red_cells(rgb, nucleus) if red_cells else math.nan
    return PictureMarks(float(red - blue), share, nucleus.others, size)
