"""Every white cell in a photograph of a field: nuclei by the stain that red cells do not take, then outlines.

Classical and deterministic.  The scale comes from the picture itself, from its red cells, which are 7 to 8 um
across; the nucleus of a white cell is hardly smaller.  Free of torch: worker processes import it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from wbc.images.boxes import Box, share_inside
from wbc.images.cell_outline import outline
from wbc.images.field_pixels import field_pixels
from wbc.images.lobes import nuclei
from wbc.images.touching import parted

_LONGEST = 1024, 2048, 4096  # px of the copy that is looked at, the first in which cells are large enough
_LEAST_RADIUS = 8  # px of a red cell in it
# Of the radius of all that is stained and no nucleus, which is taken where what has the red cells' colour has
# less: so small are only pieces of them.
_TORN = 0.5
_ALIKE = 0.75  # the radius of one over that of another, or more
# The radius of red cells is sure where so many maxima of depth are about that, of which one cell has about
# two, or fewer in a crop that they fill, and no nucleus is deeper than a cell: pieces of them are alike too.
_MANY, _FULL, _DEEPEST = 25, 0.4, 2.5
_LARGE = 0.7  # quantile of what is measured of red cells: where they touch or overlap, it is too little
# In areas of a red cell.
_LEAST_AREA = 0.45  # of a nucleus; platelets, two or three that are joined too, and dirt have less
_NUCLEUS = 1.2  # of what is no lobe of another
# In radii of a red cell.
_MARGIN = 0.35, 1.0  # from the nucleus to the edge of the cell, at least and at most
_CORE = 0.5, 0.75  # what lies so deep in a red cell is its core; so far around it is still that cell
_INSIDE = 0.5  # of a box, in another: both are of one cell


class WhiteCell(NamedTuple):
    """In pixels of the photograph.  nucleus_diameter: of the circle of equal area."""

    box: Box
    nucleus_diameter: float
    at_border: bool


def find_white_cells(rgb: np.ndarray) -> list[WhiteCell]:
    """Those in (H, W, 3) uint8 RGB, in no particular order."""
    for longest in _LONGEST:
        px = max(1.0, max(rgb.shape[:2]) / longest)
        seen = _look(rgb, px)
        if px == 1.0 or (seen is not None and seen.radius >= _LEAST_RADIUS):
            break
    if seen is None:
        return []
    kernels = [
        part
        for points in nuclei(seen.nuclear, seen.between, seen.radius)
        if len(points) >= _LEAST_AREA * np.pi * seen.radius**2
        for part in (parted(points, seen.radius) if seen.sure else [points])
    ]
    found = [_cell(seen, points, px, rgb.shape, _others(seen, points, kernels)) for points in kernels]
    while pair := _one_in_the_other([cell.box for cell, _ in found]):
        points = np.concatenate([found[place][1] for place in pair])
        kept = [one for place, one in enumerate(found) if place not in pair]
        others = _others(seen, points, [nucleus for _, nucleus in kept])
        found = [*kept, _cell(seen, points, px, rgb.shape, others)]
    return [cell for cell, _ in found]


def red_cell_radius(rgb: np.ndarray) -> float | None:
    """Of those in (H, W, 3) uint8 RGB, about, in its pixels; None where none is found."""
    seen = _look(rgb, 1.0)
    return None if seen is None else seen.radius


class _Seen(NamedTuple):
    """On a small copy.  absorbed: (h, w, 3) by Beer-Lambert, 0 where red cells lie.  nuclear: (h, w) uint8.

    between: (h, w) bool, stained and no red cell.  radius: of the red cells.
    sure: whether that can be relied on.
    """

    absorbed: np.ndarray
    between: np.ndarray
    nuclear: np.ndarray
    radius: float
    sure: bool


def _look(rgb: np.ndarray, px: float) -> _Seen | None:
    """Of a copy whose pixels are `px` of the photograph; None without red cells, which give the scale."""
    height, width = (max(1, round(side / px)) for side in rgb.shape[:2])
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    pixels = field_pixels(cv2.GaussianBlur(small, (3, 3), 0))
    if pixels is None:
        return None
    nuclear = cv2.morphologyEx(pixels.nuclear.view(np.uint8), cv2.MORPH_OPEN, _CROSS)
    inside, radius, many = _scale(pixels.red_cells)
    widest, most, many_most = _scale(pixels.stained & (nuclear == 0))
    if most is not None and (radius is None or radius < _TORN * most):
        inside, radius, many = widest, most, many_most
    if radius is None:
        return None
    # Else the outline would take those that touch a cell for a part of it.
    bodies = pixels.red_cells & _bodies(inside, radius)
    pixels.absorbed[bodies] = 0
    deepest = cv2.distanceTransform(nuclear, cv2.DIST_L2, 3).max()
    sure = many and bool(deepest <= _DEEPEST * radius)
    return _Seen(pixels.absorbed, pixels.stained & ~bodies, nuclear, radius, sure)


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def _one_in_the_other(boxes: list[Box]) -> tuple[int, int] | None:
    """The first two of which one lies by more than _INSIDE in the other."""
    for first, one in enumerate(boxes):
        for second in range(first + 1, len(boxes)):
            if share_inside(one, boxes[second]) > _INSIDE:
                return first, second
    return None


def _others(seen: _Seen, points: np.ndarray, kernels: list[np.ndarray]) -> list[np.ndarray]:
    """Those of other cells for sure: small ones may be lobes of this one."""
    least = _NUCLEUS * np.pi * seen.radius**2
    return [one for one in kernels if one is not points and len(one) >= least] if seen.sure else []


def _nearer(nucleus: np.ndarray, start: np.ndarray, others: list[np.ndarray]) -> np.ndarray | None:
    """(h, w) bool: what is nearer to another nucleus; None where none lies in the window from `start` on."""
    beside = np.zeros(nucleus.shape, bool)
    for points in others:
        x, y = (points - start).T
        there = (x >= 0) & (y >= 0) & (x < nucleus.shape[1]) & (y < nucleus.shape[0])
        beside[y[there], x[there]] = True
    if not beside.any():
        return None
    far = [cv2.distanceTransform((~one).view(np.uint8), cv2.DIST_L2, 3) for one in (nucleus, beside)]
    return far[1] < far[0]


def _cell(
    seen: _Seen, points: np.ndarray, px: float, shape: tuple[int, ...], others: list[np.ndarray]
) -> tuple[WhiteCell, np.ndarray]:
    """The cell around the nucleus of these points, and the points.  Its outline ends half way to `others`."""
    least, most = (max(1, round(margin * seen.radius)) for margin in _MARGIN)
    low, high = points.min(axis=0), points.max(axis=0) + 1
    start = np.maximum(low - most, 0)
    window = seen.absorbed[start[1] : high[1] + most, start[0] : high[0] + most]
    nucleus = np.zeros(window.shape[:2], bool)
    nucleus[points[:, 1] - start[1], points[:, 0] - start[0]] = True
    nearer = _nearer(nucleus, start, others)
    if nearer is not None:
        window = np.where(nearer[..., None], 0, window)
    left, top, across, down = cv2.boundingRect(outline(window, nucleus).view(np.uint8))
    first = np.minimum(start + np.array([left, top]), low - least)
    last = np.maximum(start + np.array([left + across, top + down]), high + least)
    at_border = bool((first <= 0).any() or (last >= seen.nuclear.shape[::-1]).any())
    edges = (np.concatenate([first, last]) * px).round().astype(int).tolist()
    box = Box(*edges).within(shape[1], shape[0])
    return WhiteCell(box, float(2 * np.sqrt(len(points) / np.pi) * px), at_border), points


def _bodies(inside: np.ndarray, radius: float) -> np.ndarray:
    """(h, w) bool: whole red cells, as far as they are as thick as one; cytoplasm may have their colour."""
    cores = (inside > _CORE[0] * radius).view(np.uint8)
    side = 2 * round(_CORE[1] * radius) + 1
    return cv2.dilate(cores, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0


def _scale(red_cells: np.ndarray) -> tuple[np.ndarray, float | None, bool]:
    """How deep in a red cell each pixel of (h, w) bool lies; about their radius, None without any; whether
    many say so.
    """
    inside = cv2.distanceTransform(_without_pale_centres(red_cells), cv2.DIST_L2, 3)
    tops = (inside >= cv2.dilate(inside, np.ones((5, 5), np.uint8))) & (inside > 2)
    heights = inside[tops]
    if len(heights) == 0:
        return inside, None, False
    heights.sort()
    share = np.cumsum(heights**2)  # by area: specks and the rings of pale cells are many, but small
    radius = float(heights[np.searchsorted(share, _LARGE * share[-1])])
    alike = np.count_nonzero((heights > _ALIKE * radius) & (heights < radius / _ALIKE))
    many = alike >= _MANY or alike * np.pi * radius**2 >= _FULL * red_cells.size
    return inside, radius, bool(many)


def _without_pale_centres(red_cells: np.ndarray) -> np.ndarray:
    filled = red_cells.astype(np.uint8)
    contours, hierarchy = cv2.findContours(filled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if hierarchy is None:
        return filled
    for contour, (*_, parent) in zip(contours, hierarchy[0], strict=True):
        area = cv2.contourArea(contour)
        hull = cv2.contourArea(cv2.convexHull(contour))
        if parent >= 0 and area < 0.01 * red_cells.size and area > 0.8 * hull:
            cv2.drawContours(filled, [contour], -1, 1, cv2.FILLED)
    return filled
