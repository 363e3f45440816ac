"""How far two photographs of one slide are shifted, where they have a part of it in common.

Translation alone: both are of one magnification, and the camera was not turned between them.  It is told by
features of the pictures (SIFT, Lowe 2004) that agree on one shift; light, noise and JPEG may differ.
Free of torch: worker processes import it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

_LONGEST_PX = 1024  # of the copy that is looked at
_BLUR_PX = 1.5  # of that copy: noise is finer
# Red cells have few edges, and are like each other: faint features count as well, and two candidates of each.
_CONTRAST = 0.015
_MOST_FEATURES = 1000
_CANDIDATES = 2
_SAME_PX = 4.0  # of the copy, within which shifts are the same
# How many features must lie on one shift, and which share of those in the common part: where there is none,
# at most 12 % do, and of a scale bar or a pointer in the same corner of each at most 10 %.
_LEAST_FEATURES = 10
_LEAST_SHARE = 0.2


class Features(NamedTuple):
    """Of a photograph of width x height px: places (N, 2) float32 in its pixels; descriptors (N, 128) uint8.

    px: pixels of the photograph to one of the copy that was looked at.
    """

    width: int
    height: int
    places: np.ndarray
    descriptors: np.ndarray
    px: float


class Shift(NamedTuple):
    """What to add to x and y in the second photograph, to have the place in the first.

    features: how many say so.
    """

    x: float
    y: float
    features: int


def features_of(rgb: np.ndarray) -> Features:
    """Those of (H, W, 3) uint8 RGB; some hundred kilobytes, however large the photograph."""
    height, width = rgb.shape[:2]
    px = max(1.0, max(height, width) / _LONGEST_PX)
    shape = (max(1, round(width / px)), max(1, round(height / px)))
    grey = cv2.cvtColor(cv2.resize(rgb, shape, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    detector = cv2.SIFT.create(_MOST_FEATURES, contrastThreshold=_CONTRAST)
    points, found = detector.detectAndCompute(cv2.GaussianBlur(grey, (0, 0), _BLUR_PX), None)
    places = np.array([point.pt for point in points], np.float32).reshape(-1, 2) * np.float32(px)
    descriptors = np.zeros((0, 128), np.uint8) if found is None else found.astype(np.uint8)  # whole numbers
    return Features(width, height, places, descriptors, px)


def shift_between(first: Features, second: Features) -> Shift | None:
    """How far `second` is shifted against `first`; None where no part that both have is recognised."""
    if min(len(first.places), len(second.places)) < _LEAST_FEATURES:
        return None
    candidates = _nearest(first.descriptors.astype(np.float32), second.descriptors.astype(np.float32))
    places = np.repeat(first.places, _CANDIDATES, axis=0), second.places[candidates.ravel()]
    on_it = _agreeing(places[0] - places[1], _SAME_PX * max(first.px, second.px))
    if np.count_nonzero(on_it) < _LEAST_FEATURES:
        return None
    x, y = np.median((places[0] - places[1])[on_it], axis=0).tolist()
    # A feature of several orientations is several features in one place.
    count = min(len(np.unique(one[on_it], axis=0)) for one in places)
    there = min(_in_common(first, second, x, y), _in_common(second, first, -x, -y))
    if count < max(_LEAST_FEATURES, _LEAST_SHARE * there):
        return None
    return Shift(x, y, count)


def _nearest(descriptors: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(N, _CANDIDATES) places in `among` of those nearest to each: five times as fast as OpenCV's matcher."""
    distances = (among**2).sum(axis=1) - 2 * (descriptors @ among.T)
    return np.argpartition(distances, _CANDIDATES, axis=1)[:, :_CANDIDATES]


def _agreeing(shifts: np.ndarray, reach: float) -> np.ndarray:
    """(N,) bool: which of the shifts (N, 2) lie within `reach` of the one that most agree on."""
    cells = np.floor(shifts / reach).astype(int)
    low = cells.min(axis=0)
    votes = np.zeros(cells.max(axis=0) - low + 3, np.float32)
    np.add.at(votes, tuple((cells - low + 1).T), 1)
    around = cv2.boxFilter(votes, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    best = np.array(np.unravel_index(int(around.argmax()), around.shape)) + low - 1
    near = (np.abs(cells - best) <= 1).all(axis=1)
    return (np.abs(shifts - np.median(shifts[near], axis=0)) <= reach).all(axis=1)


def _in_common(one: Features, other: Features, x: float, y: float) -> int:
    """In how many places of `one` are features that lie in `other`, which is shifted by x and y."""
    places = one.places - np.array([x, y], np.float32)
    inside = ((places >= 0) & (places < [other.width, other.height])).all(axis=1)
    return len(np.unique(one.places[inside], axis=0))
