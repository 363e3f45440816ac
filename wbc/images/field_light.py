"""The light of a photograph's empty field at every place, and how much of it is taken up.

Microscopes light the middle more than the corners, and where red cells lie close the field is the lesser part
of the picture.  Free of torch: worker processes import it.
"""

from __future__ import annotations

import cv2
import numpy as np

from wbc.images.empty_field import absorbance, median_colour

_BRIGHT = 0.02  # share of pixels that are taken to be brighter than the field: specks, borders of refraction
# Grey levels of green light.
_WINDOW = 45  # below those, within which the field is looked for
_PEAK = 4  # each way, to the next peak
_NEAR = 7  # around the peak, of the field's colour
# The field is a peak of its own where it has so much of the largest one's pixels, and between them fewer.
_OWN_PEAK = 0.2
_VALLEY = 0.8

_SAMPLES = 6_000  # pixels that the light is fitted to, about
_ROUNDS = 0.1, 0.1, 0.06, 0.06, 0.06, 0.06  # absorbance around the last fit, within which the next is made
_LEAST_SHARE = 0.05  # of these pixels; with fewer the light is taken to be even
_DARKER = 0.3  # weight of what is darker than the fit beside what is brighter: pale red cells are no field
_HELD = 0.0, 0.01, 0.01, 0.02, 0.02, 0.02  # how firmly each term is held to 0, times the pixels of the field
_COARSE = 32  # px a side of the fitted light, which is smooth


def field_absorbance(small: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32 by Beer-Lambert of (h, w, 3) uint8 RGB: 0 for the field, wherever it lies."""
    absorbed = absorbance(small, _field_colour(small))
    light = _uneven_light(absorbed)
    return absorbed if light is None else absorbed - light


def _field_colour(small: np.ndarray) -> np.ndarray:
    """RGB of the brightest peak; red cells may be the larger one."""
    green = small[..., 1]
    counts = np.bincount(green.ravel(), minlength=256).astype(np.float64)
    bright = int(np.searchsorted(np.cumsum(counts), (1 - _BRIGHT) * green.size))
    counts = np.convolve(counts, np.full(2 * _PEAK + 1, 1 / (2 * _PEAK + 1)), "same")
    first = max(bright - _WINDOW, 0)
    mode = largest = first + int(counts[first : bright + 1].argmax())
    for level in range(bright, largest, -1):
        around = counts[max(level - _PEAK, 0) : level + _PEAK + 1]
        large = counts[level] >= _OWN_PEAK * counts[largest]
        if large and counts[level] == around.max() > counts[largest:level].min() / _VALLEY:
            mode = level
            break
    return median_colour(small, cv2.inRange(green, mode - _NEAR, mode + _NEAR))


def _uneven_light(absorbed: np.ndarray) -> np.ndarray | None:
    """(h, w, 3) float32 that the field itself absorbs, by a parabola; None with too little of it."""
    height, width = absorbed.shape[:2]
    step = max(1, int(np.sqrt(height * width / _SAMPLES)))
    seen = absorbed[::step, ::step]
    terms, values = _terms(*seen.shape[:2]), seen.reshape(-1, 3)
    fit = np.zeros((terms.shape[1], 3), np.float32)
    for reach in _ROUNDS:
        left = values - terms @ fit
        field = (np.abs(left) < reach).all(axis=1)
        if field.mean() < _LEAST_SHARE:
            return None
        weights = np.where(left[:, 1:].max(axis=1) < 0, 1, _DARKER) * field
        weighted = terms * weights[:, None]
        held = np.diag(np.array(_HELD) * np.count_nonzero(field))
        fit = np.linalg.solve(weighted.T @ terms + held, weighted.T @ values)
    coarse = (_terms(_COARSE, _COARSE) @ fit).reshape(_COARSE, _COARSE, 3).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def _terms(height: int, width: int) -> np.ndarray:
    """(height * width, 6) float32: 1, x, y, x², xy, y² of the places of a picture, from -1 to 1."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6).astype(np.float32)
