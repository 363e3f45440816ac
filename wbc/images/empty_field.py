"""The colour of a picture's empty field, and how much light is taken up beside it.

Free of torch: worker processes import it.
"""

from __future__ import annotations

import cv2
import numpy as np

_BRIGHT = 0.02  # share of pixels that are taken to be brighter than the field: specks, borders of refraction
_MODE = 30  # grey levels below those, within which the field is looked for
_SPREAD = 14  # grey levels around the field's colour that are taken for it


def brightest_part(small: np.ndarray) -> np.ndarray:
    """RGB of the brightest large part of (h, w, 3), the empty field where there is any."""
    green = small[..., 1]
    counts = np.cumsum(np.bincount(green.ravel(), minlength=256))
    bright = int(np.searchsorted(counts, (1 - _BRIGHT) * green.size))
    centres = np.arange(max(bright - _MODE, 0), bright + 1)
    low, high = np.maximum(centres - 5, 0), np.minimum(centres + 4, 255)
    mode = int(centres[(counts[high] - counts[low]).argmax()])
    near = cv2.inRange(green, mode - _SPREAD // 2, mode + _SPREAD // 2)
    return median_colour(small, near)


def absorbance(small: np.ndarray, field: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32, 0 for the field, by Beer-Lambert; negative where brighter."""
    table = -np.log(np.maximum(np.arange(256), 8)[:, None] / np.maximum(field, 8)).astype(np.float32)
    return np.asarray(cv2.LUT(small, table[:, None]))


_FIELD_SHARE = 0.04  # of the picture, below which its colour is a guess
_FIELD_GREEN = 0.84  # of its red: a field is white to yellow, red cells have about 0.75


def field_colour(small: np.ndarray, field: np.ndarray, cell: np.ndarray) -> np.ndarray | None:
    """Of what has about the colour `field` outside the cell and its halo; None where that is too little."""
    near = cv2.inRange(small, field - _SPREAD, field + _SPREAD)
    near[cv2.dilate(cell.view(np.uint8), np.ones((5, 5), np.uint8)) > 0] = 0
    if np.count_nonzero(near) < _FIELD_SHARE * near.size or field[1] < _FIELD_GREEN * field[0]:
        return None
    return median_colour(small, near)


def median_colour(small: np.ndarray, where: np.ndarray) -> np.ndarray:
    """RGB of the pixels that are not 0 in `where`, channel by channel: from histograms, not by sorting."""
    counts = np.array([cv2.calcHist([small], [c], where, [256], [0, 256]).ravel() for c in range(3)])
    below = np.cumsum(counts, axis=1)
    return (below < below[:, -1:] / 2).sum(axis=1).astype(np.float64)
