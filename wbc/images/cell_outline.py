"""The outline of a cell around its nucleus: the best closed path around it, by dynamic programming.

A threshold alone would take the red cells that touch the cell for a part of it.  Finds shapes whose border is
seen from the nucleus, which those of nearly all white cells are.
"""

from __future__ import annotations

import cv2
import numpy as np

# Chosen by Dice on the masks of jtsc and of the drawn smears together; see benchmarks/cell_finder.py.
_ANGLES, _RADII = 40, 48
_STEP = 2  # radii that the outline may move from one angle to the next
_REACH = 2.8, 1.5  # of the outline: radii of the circle of the nucleus' area, and of the one around it
_FIELD = 0.12  # mean absorbance from which a pixel is rather cell than field
_DARKEST = 0.45  # mean absorbance from which a pixel is no more cell than any other: nuclei count no more
_PALE = 0.25  # mean absorbance to which steps count, so that those into pale cytoplasm outweigh the nucleus'
_EDGE = 8.0  # what the outline gains by a step of absorbance, beside the pixels within it
_FAR = 0.1  # what each small pixel costs by which it lies further from the nucleus than is usual
_USUAL = 1.35, 1.0  # usual distance, as _REACH
_BEND = 0.06  # what each radius costs by which the outline moves from one angle to the next
_LOOK = cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS


def outline(absorbed: np.ndarray, nucleus: np.ndarray) -> np.ndarray:
    """(h, w) bool: nucleus and cytoplasm, of absorbance (h, w, 3) and the nucleus (h, w) bool."""
    shape = nucleus.view(np.uint8)
    points = cv2.findNonZero(shape)
    area = len(points)
    (x, y), enclosing = cv2.minEnclosingCircle(cv2.convexHull(points))  # of few points it is faster
    moments = cv2.moments(shape, binaryImage=True)
    # Between the middle of a kidney's or ring's extent and its centre of mass.
    centre = 0.5 * (x + moments["m10"] / area), 0.5 * (y + moments["m01"] / area)
    radius = np.sqrt(area / np.pi)
    reach = max(_REACH[0] * radius, _REACH[1] * enclosing)
    step = reach / _RADII
    stain = np.clip(absorbed.mean(axis=2), 0, _DARKEST)
    layers = np.dstack([stain, np.ones_like(stain), nucleus.astype(np.float32)])
    polar, inside, kernel = cv2.split(cv2.warpPolar(layers, (_RADII, _ANGLES), centre, reach, _LOOK))
    usual = max(_USUAL[0] * radius, _USUAL[1] * enclosing)
    cost = _FAR * np.maximum(np.arange(_RADII) * step - usual, 0) - _EDGE * _edges(
        np.minimum(polar, _PALE), inside
    )
    cost -= np.cumsum((polar - _FIELD) * (inside > 0.5), axis=1) * step  # beyond the picture nothing is known
    behind = np.cumsum((kernel > 0.5)[:, ::-1], axis=1)[:, ::-1] > 0
    cost[:, :-1][behind[:, 1:]] = 1e3  # the nucleus lies within
    path = _closed_path(cost.astype(np.float32))
    angles = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    polygon = np.array(centre) + (path[:, None] + 0.5) * step * rays
    cell = np.zeros(nucleus.shape, np.uint8)
    cv2.fillPoly(cell, [np.rint(polygon * 16).astype(np.int32)], 1, shift=4)
    return (cell > 0) | nucleus


def _edges(polar: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """By how much absorbance falls outwards, (angles, radii); 0 where the picture ends."""
    edges = np.zeros_like(polar)
    fall = polar[:, 1:-3] + polar[:, 2:-2] - polar[:, 3:-1] - polar[:, 4:]
    edges[:, 2:-2] = fall / 2 * (inside[:, 4:] > 0.5)
    return edges


def _closed_path(cost: np.ndarray) -> np.ndarray:
    """The cheapest radius index at each angle, of cost (angles, radii) float32.

    One and a half times around, of which the middle turn is taken, so that the ends meet.
    """
    angles, radii = cost.shape
    bend = _BEND * np.abs(np.arange(-_STEP, _STEP + 1, dtype=np.float32))[:, None]
    count = angles + angles // 2
    totals = np.full((count, radii + 2 * _STEP), 1e6, np.float32)
    totals[0, _STEP:-_STEP] = cost[0]
    steps = np.lib.stride_tricks.sliding_window_view(totals, radii, axis=1)  # (count, 5, radii)
    for index in range(1, count):
        cheapest = np.min(steps[index - 1] + bend, axis=0)
        np.add(cheapest, cost[index % angles], out=totals[index, _STEP:-_STEP])
    place = int(totals[-1].argmin()) - _STEP
    path = np.empty(count, np.int64)
    for index in range(count - 1, -1, -1):
        path[index] = place
        place += int((steps[index - 1, :, place] + bend[:, 0]).argmin()) - _STEP
    start = angles // 4
    return np.roll(path[start : start + angles], start)
