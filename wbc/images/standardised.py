"""A picture in the standard way: its cell of a standard size in the middle, in standard colours.

Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from wbc.images.cell_finder import FoundNucleus, cell_around, find_nucleus
from wbc.images.decode import resize
from wbc.images.standard_colour import restaining, whitening

# Raise it whenever the same picture would be shown otherwise, by this module or the finder, or measured
# otherwise by `wbc.images.morphometry`.
VERSION = "3"

# Diameter of a cell as a share of the frame.  In the PBC set's own pictures it is 0.385; enlarged, 160 px
# show the cell with more pixels than 224 px of the whole picture do, and less of what lies around it.
CELL_SHARE = 0.7
ZOOM = (0.4, 3.0)  # limits of what a picture is zoomed by; beyond, the outline is rather wrong


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in the frame: scaled to `width` x `height`, its corner at (`left`, `top`)."""

    width: int
    height: int
    left: int
    top: int

    def place(
        self, scaled: np.ndarray, size_px: int, border: int, colour: Sequence[float] = (0, 0, 0)
    ) -> np.ndarray:
        """(height, width, ...) in a frame of (size_px, size_px, ...)."""
        x, y = max(-self.left, 0), max(-self.top, 0)
        part = scaled[y : size_px - self.top, x : size_px - self.left]
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = size_px - top - part.shape[0], size_px - left - part.shape[1]
        return cv2.copyMakeBorder(part, top, bottom, left, right, border, value=colour)


@dataclass(frozen=True)
class StandardisedPicture:
    """pixels (size_px, size_px, 3) uint8; found: whether there was a cell, None where none was looked for;
    placement: None where the picture was squashed into the frame.
    """

    pixels: np.ndarray
    found: bool | None
    placement: Placement | None = None


def placed_mask(mask: np.ndarray, placement: Placement | None, size_px: int) -> np.ndarray:
    """A mask of the picture (H, W) as it lies in the frame; unchanged where the picture was squashed."""
    if placement is None:
        return mask
    # EXACT samples at pixel centres, as the image's own interpolation does; plain NEAREST is shifted.
    scaled = cv2.resize(mask, (placement.width, placement.height), interpolation=cv2.INTER_NEAREST_EXACT)
    return placement.place(scaled, size_px, cv2.BORDER_CONSTANT)


def standardised(
    rgb: np.ndarray,
    size_px: int,
    size: bool = True,
    field: bool = True,
    stain: bool = False,
    nucleus: FoundNucleus | None = None,
) -> StandardisedPicture:
    """(H, W, 3) uint8 RGB as (size_px, size_px, 3); as `resize` makes it where no cell is found.

    size: whether the cell is brought to the standard size, in the middle.  Between labs the size says
    nothing; within one it tells monocytes from lymphocytes, and that mark is lost.
    field: whether the empty field is made white.  stain: whether the nucleus is given a standard colour, and
    all else changed with it.  See `wbc.images.standard_colour`.  nucleus: where it was found before.
    """
    nucleus = nucleus or find_nucleus(rgb)
    if nucleus is None:
        return StandardisedPicture(resize(rgb, size_px), False)
    cell = cell_around(nucleus)
    placement = None
    if size:
        height, width = rgb.shape[:2]
        side = np.sqrt(height * width)
        zoom = np.clip(CELL_SHARE * side / cell.diameter, *ZOOM) * size_px / side
        placement = Placement(
            width=max(1, round(width * zoom)),
            height=max(1, round(height * zoom)),
            left=round(size_px / 2 - cell.centre[0] * zoom),
            top=round(size_px / 2 - cell.centre[1] * zoom),
        )
        scaled = _scaled(rgb, placement.width, placement.height)
        if cell.background is None:
            pixels = placement.place(scaled, size_px, cv2.BORDER_REPLICATE)
        else:  # no streaks of what lies at the picture's edge
            pixels = placement.place(scaled, size_px, cv2.BORDER_CONSTANT, cell.background.tolist())
    else:
        pixels = resize(rgb, size_px)
    dye = cell.nucleus_colour
    if field and cell.background is not None:
        table = whitening(cell.background)
        pixels = cv2.LUT(pixels, table)
        dye = table[dye, 0, range(3)]
    if stain:
        pixels = cv2.LUT(pixels, restaining(dye))
    return StandardisedPicture(pixels, True, placement)


def _scaled(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    """Averaged over areas where it shrinks, interpolated where it grows, as `resize` does."""
    smaller = width < rgb.shape[1]
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
