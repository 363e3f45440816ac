"""The outline of a cell around its nucleus: the best closed path in polar coordinates.

Dynamic programming over angles, as is done for cells and vessels that are round and touch their neighbours
(e.g. Malpica 1997 for why plain thresholds do not part them); star-shaped cells only, which white cells are.
"""

from __future__ import annotations

import cv2
import numpy as np

_ANGLES, _RADII = 40, 48
_STEP = 2  # radii that the outline may move from one angle to the next
REACH = 2.6  # of the outline, in radii of the circle that is as large as the nucleus
FIELD = 0.16
EDGE = 1.0
ROUND = 0.12
SMOOTH = 0.06
CLIP = 0.45
_LOOK = cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS


def outline(absorbed: np.ndarray, nucleus: np.ndarray) -> np.ndarray:
    """(h, w) bool: nucleus and cytoplasm, of absorbance (h, w, 3) and the nucleus (h, w) bool."""
    shape = nucleus.view(np.uint8)
    points = cv2.findNonZero(shape)
    (x, y), enclosing = cv2.minEnclosingCircle(points)
    radius = np.sqrt(len(points) / np.pi)
    moments = cv2.moments(shape, binaryImage=True)
    x = 0.5 * (x + moments["m10"] / len(points))
    y = 0.5 * (y + moments["m01"] / len(points))
    reach = max(REACH * radius, 1.5 * enclosing)
    stain = np.clip(absorbed.mean(axis=2), 0, CLIP)
    size, centre = (_RADII, _ANGLES), (x, y)
    polar = cv2.warpPolar(stain, size, centre, reach, _LOOK)
    inside = cv2.warpPolar(np.ones_like(stain), size, centre, reach, _LOOK) > 0.5
    kernel = cv2.warpPolar(nucleus.astype(np.float32), size, centre, reach, _LOOK) > 0.5
    score = np.where(inside, polar - FIELD, 0)
    gain = np.cumsum(score, axis=1) * (reach / _RADII)
    edge = np.zeros_like(polar)
    edge[:, 2:-2] = (polar[:, 1:-3] + polar[:, 2:-2] - polar[:, 3:-1] - polar[:, 4:]) / 2
    edge[:, 2:-2] *= inside[:, 4:]
    away = np.arange(_RADII) * (reach / _RADII)
    cost = -gain - EDGE * edge * 3 + ROUND * np.maximum(away - 1.35 * radius, 0)[None]
    last = np.where(kernel.any(1), _RADII - 1 - kernel[:, ::-1].argmax(1), 0)
    cost[np.arange(_RADII)[None] < last[:, None]] = 1e3
    path = _closed_path(cost.astype(np.float32))
    angles = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    r = (path + 0.5) * (reach / _RADII)
    polygon = np.stack([x + r * np.cos(angles), y + r * np.sin(angles)], 1)
    cell = np.zeros(nucleus.shape, np.uint8)
    cv2.fillPoly(cell, [np.rint(polygon * 16).astype(np.int32)], 1, shift=4)
    return (cell > 0) | nucleus


def _closed_path(cost: np.ndarray) -> np.ndarray:
    """The cheapest radius index at each of the angles; twice around, of which the middle is taken."""
    angles, radii = cost.shape
    steps = SMOOTH * np.abs(np.arange(-_STEP, _STEP + 1, dtype=np.float32))
    total = np.zeros(radii, np.float32)
    padded = np.full(radii + 2 * _STEP, 1e6, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _STEP + 1)
    came = np.empty((2 * angles, radii), np.int64)
    for index in range(2 * angles):
        padded[_STEP:-_STEP] = total
        choices = windows + steps
        came[index] = choices.argmin(axis=1)
        total = choices.min(axis=1) + cost[index % angles]
    place = int(total.argmin())
    path = np.empty(2 * angles, np.int64)
    for index in range(2 * angles - 1, -1, -1):
        path[index] = place
        place = min(max(place + came[index, place] - _STEP, 0), radii - 1)
    middle = path[angles // 2 : angles // 2 + angles]
    return np.roll(middle, angles // 2)
