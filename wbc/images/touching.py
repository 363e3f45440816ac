"""Which pieces of nuclear stain in a photograph are nuclei of several cells that touch.

Cytoplasm may take the stain of nuclei, so that cells which touch are one piece of it, with a neck.
Free of torch: worker processes import it.
"""

from __future__ import annotations

import cv2
import numpy as np

# In radii of a red cell.
_DEPTH = 0.85  # of a nucleus, at least, from its edge to its middle; lobes have less
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
    middles = _middles(depth, radius)
    if middles is None:
        return [points]
    _, nearest = cv2.distanceTransformWithLabels(
        (middles == 0).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    owner = nearest[rows, columns]
    parts = [points[owner == one] for one in np.unique(owner)]
    return parts if min(map(len, parts)) >= least else [points]


def _middles(depth: np.ndarray, radius: float) -> np.ndarray | None:
    """(h, w) int32, another number in the middle of each part and 0 elsewhere; None where there is one part.

    Of all depths at which the piece falls apart, the first with the most parts.
    """
    peaks = (depth >= cv2.dilate(depth, _BESIDE)) & (depth >= _DEPTH * radius)
    rows, columns = np.nonzero(peaks)
    heights = depth[rows, columns]
    if len(rows) < 2:
        return None
    middles, most = None, 1
    for level in np.arange(_STEP * radius, heights.max(), _STEP * radius):
        count, labels = cv2.connectedComponents((depth > level).view(np.uint8), connectivity=8)
        deepest = np.zeros(count)
        np.maximum.at(deepest, labels[rows, columns], heights)
        deepest[0] = 0  # what is less deep than this level
        parts = deepest >= max(_DEPTH * radius, level / _NECK)
        if parts.sum() > most:
            middles, most = np.where(parts[labels], labels, 0), int(parts.sum())
    return middles
