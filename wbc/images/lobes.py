"""Which pieces of nuclear stain in a photograph are the lobes of one nucleus.

Lobes lie in one cell's cytoplasm, which may be as clear as the field.  Platelets are as dark as lobes: they
are small, and between them and a nucleus lies field or a red cell.
Free of torch: worker processes import it.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

# In areas of a red cell.
_SPECK = 0.02  # smaller pieces are no lobes
_PLATELET = 0.3  # smaller pieces may be platelets as well
_LOBE = 0.8  # larger ones are no lobes either, but nuclei
# In radii of a red cell.
_JOINED = 1.25  # from lobe to lobe of a nucleus, at most
_OUTSIDE = 0.15  # of this way outside of a cell, at most, where one of them may be a platelet
_EXTENT = 2.3  # radius of the circle around a nucleus, at most

_POINTS = 200  # of a piece, about, by which it is told how near it is


def nuclei(nuclear: np.ndarray, cytoplasm: np.ndarray, radius: float) -> list[np.ndarray]:
    """The points (N, 2) int32, x and y, of each nucleus in (h, w) uint8, which is not 0 where nuclei lie.

    cytoplasm: (h, w) bool, what may lie between lobes: no field and no red cell.  radius: of red cells.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(nuclear, connectivity=8)
    whole = np.pi * radius**2
    pieces = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] >= _SPECK * whole]
    points = {n: _points(labels, stats[n], n) for n in pieces}
    groups = {n: [n] for n in pieces}
    for _, one, other in sorted(_near_pairs(points, stats, cytoplasm, radius)):
        first, second = (next(key for key, group in groups.items() if n in group) for n in (one, other))
        if first == second:
            continue
        together = groups[first] + groups[second]
        areas = [sum(len(points[n]) for n in groups[key]) for key in (first, second)]
        extent = cv2.minEnclosingCircle(np.concatenate([points[n] for n in together]))[1]
        if min(areas) <= _LOBE * whole and extent <= _EXTENT * radius:
            groups[first] = together
            del groups[second]
    return [np.concatenate([points[n] for n in group]) for group in groups.values()]


def _points(labels: np.ndarray, stat: np.ndarray, label: int) -> np.ndarray:
    x, y, width, height = stat[:4].tolist()
    rows, columns = np.nonzero(labels[y : y + height, x : x + width] == label)
    return np.column_stack([columns + x, rows + y]).astype(np.int32)


def _near_pairs(
    points: dict[int, np.ndarray], stats: np.ndarray, cytoplasm: np.ndarray, radius: float
) -> Iterator[tuple[float, int, int]]:
    """How far two pieces are apart, about, and which; those near enough to be lobes of one nucleus."""
    reach = _JOINED * radius
    pieces = list(points)
    corners = stats[pieces, :2]
    ends = corners + stats[pieces, 2:4]
    for place, one in enumerate(pieces):
        # Between their boxes first: pieces may be many.
        apart = np.maximum(corners[place + 1 :] - ends[place], corners[place] - ends[place + 1 :]).max(axis=1)
        for other in np.flatnonzero(apart <= reach) + place + 1:
            gap, outside = _way(points[one], points[pieces[other]], cytoplasm)
            smaller = min(len(points[one]), len(points[pieces[other]]))
            platelet = smaller < _PLATELET * np.pi * radius**2 and outside > _OUTSIDE * radius
            if gap <= reach and not platelet:
                yield gap, one, pieces[other]


def _way(one: np.ndarray, other: np.ndarray, cytoplasm: np.ndarray) -> tuple[float, float]:
    """How far two pieces (N, 2) are apart, and how much of this way lies outside of `cytoplasm`; about."""
    some = [points[:: max(1, len(points) // _POINTS)].astype(np.float32) for points in (one, other)]
    squares = ((some[0][:, None] - some[1][None]) ** 2).sum(axis=2)
    start, end = np.unravel_index(squares.argmin(), squares.shape)
    gap = float(np.sqrt(squares[start, end]))
    steps = np.linspace(some[0][start], some[1][end], int(gap) + 2).astype(int)
    return gap, gap * float(1 - cytoplasm[steps[:, 1], steps[:, 0]].mean())
