"""Which pieces of nuclear stain in a photograph are nuclei of several cells that touch.

Cytoplasm may take the stain of nuclei, so that cells which touch are one piece of it, with a neck.
Free of torch: worker processes import it.
"""

from __future__ import annotations

import cv2
import numpy as np

# In radii of a red cell.
_DEPTH = 0.85  # of a nucleus, at least, from its edge to its middle; lobes have less
_DEEPEST = 4.0  # from its edge to its middle, at most, holes filled; else it is a frame around much else
_STEP = 0.05  # between the depths at which a piece is looked at
_LEAST_AREA = 0.8  # of each part, in areas of a red cell: larger ones are no lobes
_NECK = 0.6  # of the depth of the shallower part, at most

_BESIDE = np.ones((3, 3), np.uint8)


def parted(points: np.ndarray, radius: float) -> list[np.ndarray]:
    """A piece of points (N, 2) int32, x and y, as one or several of them.  radius: of red cells."""
    least = _LEAST_AREA * np.pi * radius**2
    if len(points) < 2 * least:
        return [points]
    low = points.min(axis=0) - 1
    piece = np.zeros(points.max(axis=0)[::-1] - low[::-1] + 2, np.uint8)
    columns, rows = (points - low).T
    piece[rows, columns] = 1
    contours, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(piece, contours, -1, 1, cv2.FILLED)  # granules and vacuoles are no edge
    depth = cv2.distanceTransform(piece, cv2.DIST_L2, 5)
    if depth.max() > _DEEPEST * radius:
        return [points]
    middles = _middles(depth, radius)
    while len(each := np.unique(middles)[1:]) > 1:
        far = [cv2.distanceTransform((middles != one).view(np.uint8), cv2.DIST_L2, 5) for one in each]
        owner = np.argmin(far, axis=0)[rows, columns]
        areas = np.bincount(owner, minlength=len(each))
        if areas.min() >= least:
            return [points[owner == one] for one in range(len(each))]
        middles[middles == each[areas.argmin()]] = 0  # a platelet, which the nearest takes in
    return [points]


def _middles(depth: np.ndarray, radius: float) -> np.ndarray:
    """(h, w) int32, another number in the middle of each part and 0 elsewhere.

    Of all depths at which the piece falls apart, the first with the most parts; all 0 where it does not.
    """
    middles, most = np.zeros(depth.shape, np.int32), 1
    peaks = (depth >= cv2.dilate(depth, _BESIDE)) & (depth >= _DEPTH * radius)
    rows, columns = np.nonzero(peaks)
    if len(rows) < 2:
        return middles
    heights = depth[rows, columns]
    for level in np.arange(_STEP * radius, heights.max(), _STEP * radius):
        count, labels = cv2.connectedComponents((depth > level).view(np.uint8), connectivity=8)
        deepest = np.zeros(count)
        np.maximum.at(deepest, labels[rows, columns], heights)
        deepest[0] = 0  # what is less deep than this level
        parts = deepest >= max(_DEPTH * radius, level / _NECK)
        if parts.sum() > most:
            middles, most = np.where(parts[labels], labels, 0), int(parts.sum())
    return middles
