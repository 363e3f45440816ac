"""Finds the white cell of a picture by its stain: nucleus, outline, size, and the colour of the empty field.

Classical and deterministic: a threshold on absorbance for the nucleus, the best closed path around it for the
outline.  Works on a small copy, since neither needs detail.  Free of torch: worker processes import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from wbc.cell_outline import outline

_SIDE = 96  # longer side of the copy that is looked at: lobes stay apart, and a picture takes about 2 ms


@dataclass(frozen=True)
class FoundCell:
    """nucleus, cell: (h, w) bool on the small copy, of which one pixel is `px` pixels of the picture.

    centre (x, y) and diameter (of the circle of equal area) in pixels of the picture.  background: the
    median RGB of the empty field, 0..255; None where the picture shows too little of it.
    """

    nucleus: np.ndarray
    cell: np.ndarray
    px: float
    centre: tuple[float, float]
    diameter: float
    background: np.ndarray | None


def find_cell(rgb: np.ndarray) -> FoundCell | None:
    """The white cell nearest the middle of (H, W, 3) uint8 RGB; None without a plausible nucleus."""
    px = max(1.0, max(rgb.shape[:2]) / _SIDE)
    height, width = (max(1, round(side / px)) for side in rgb.shape[:2])
    small = cv2.GaussianBlur(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), (3, 3), 0)
    field = _field(small)
    absorbed = _absorbance(small, field)
    nucleus = _nucleus(absorbed)
    if nucleus is None:
        return None
    cell = outline(absorbed, nucleus)
    area = int(np.count_nonzero(cell))
    moments = cv2.moments(cell.view(np.uint8), binaryImage=True)
    centre = (moments["m10"] / area + 0.5) * px, (moments["m01"] / area + 0.5) * px
    diameter = float(2 * np.sqrt(area / np.pi) * px)
    return FoundCell(nucleus, cell, px, centre, diameter, _background(small, field, cell))


_BRIGHT = 0.02  # share of pixels that are taken to be brighter than the field: specks, borders of refraction
_SPREAD = 14  # grey levels around the field's green


def _field(small: np.ndarray) -> np.ndarray:
    """RGB of the brightest large part of (h, w, 3), the empty field where there is any."""
    green = small[..., 1]
    counts = np.cumsum(np.bincount(green.ravel(), minlength=256))
    bright = int(np.searchsorted(counts, (1 - _BRIGHT) * green.size))
    histogram = np.diff(counts, prepend=0)
    smooth = np.convolve(histogram, np.ones(9), "same")
    start = max(bright - 30, 0)
    mode = start + int(smooth[start : bright + 1].argmax())
    near = small[np.abs(green.astype(np.int16) - mode) <= _SPREAD // 2]
    return np.median(near, axis=0)


def _absorbance(small: np.ndarray, field: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32, 0 for the field, by Beer-Lambert; negative where brighter."""
    table = -np.log(np.maximum(np.arange(256), 8)[:, None] / np.maximum(field, 8)).astype(np.float32)
    return np.dstack([table[small[..., c], c] for c in range(3)])


_LEVELS, _DARKEST = 64, 2.5  # the stain's scale; what absorbs more is as good as black
_NEAR = 0.25  # sigma of what counts as the middle, in sides of the picture
_JOINED = 0.6  # lobes are nearer to the largest one than this share of the side of a square of its area
_LEAST_PX = 20  # area of a nucleus on the small copy


def _nucleus(absorbed: np.ndarray) -> np.ndarray | None:
    """(h, w) bool: the darkest of three kinds of pixels, in the middle, in one piece or in lobes."""
    # Red cells absorb green and blue; only the nuclear stain takes red light too.
    stain = np.clip(0.5 * absorbed[..., 0] + absorbed[..., 1], 0, _DARKEST)
    levels = (stain * np.float32((_LEVELS - 1) / _DARKEST)).astype(np.uint8)
    near = _nearness(*levels.shape)
    limit = _upper_of_three(np.bincount(levels.ravel(), near.ravel(), _LEVELS))
    dark = (levels > limit).view(np.uint8)
    dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    if count < 2:
        return None
    weights = np.bincount(labels.ravel(), near.ravel(), count)
    weights[0] = 0
    main = int(weights.argmax())
    areas = stats[:, cv2.CC_STAT_AREA]
    if areas[main] < _LEAST_PX:
        return None
    away = cv2.distanceTransform((labels != main).view(np.uint8), cv2.DIST_L2, 3)
    within = labels[away < _JOINED * np.sqrt(areas[main])]
    joined = np.bincount(within, minlength=count) > 0.5 * areas  # most of a lobe, not a neighbour's edge
    joined[0] = False
    joined[main] = True
    return np.asarray(joined[labels])


@lru_cache(maxsize=16)
def _nearness(height: int, width: int) -> np.ndarray:
    """(height, width), 1 in the middle."""
    side = max(height, width)
    y = (np.arange(height) - (height - 1) / 2) / side
    x = (np.arange(width) - (width - 1) / 2) / side
    return np.asarray(np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * _NEAR**2)))


def _upper_of_three(counts: np.ndarray) -> int:
    """The upper of two limits that part a histogram into three classes of least variance (Otsu 1979)."""
    share, total = np.cumsum(counts), np.cumsum(counts * np.arange(len(counts)))
    low, high = _PAIRS
    between = (
        _squared(share[low], total[low])
        + _squared(share[high] - share[low], total[high] - total[low])
        + _squared(share[-1] - share[high], total[-1] - total[high])
    )
    return int(high[between.argmax()])


_PAIRS = np.triu_indices(_LEVELS - 1, 1)


def _squared(share: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.asarray(total**2 / np.maximum(share, 1e-9))


_FIELD_SHARE = 0.04  # of the picture, below which its colour is a guess
_FIELD_GREEN = 0.84  # of its red: a field is white to yellow, red cells have about 0.75


def _background(small: np.ndarray, field: np.ndarray, cell: np.ndarray) -> np.ndarray | None:
    """The median of what has about the field's colour outside the cell and its halo."""
    outside = cv2.dilate(cell.view(np.uint8), np.ones((5, 5), np.uint8)) == 0
    near = outside & (np.abs(small - field.astype(np.float32)).max(axis=2) <= _SPREAD)
    if np.count_nonzero(near) < _FIELD_SHARE * near.size or field[1] < _FIELD_GREEN * field[0]:
        return None
    return np.median(small[near], axis=0)
