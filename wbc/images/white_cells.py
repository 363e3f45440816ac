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

_LONGEST = 1024, 2048, 4096  # px of the copy that is looked at, the first in which cells are large enough
_LEAST_RADIUS = 8  # px of a red cell in it
# Of the radius of all that is stained and no nucleus, which is taken where what has the red cells' colour has
# less: so small are only pieces of them.
_TORN = 0.5
_LARGE = 0.7  # quantile of what is measured of red cells: where they touch or overlap, it is too little
# In areas of a red cell.
_LEAST_AREA = 0.45  # of a nucleus; platelets, two or three that are joined too, and dirt have less
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
    found = [
        _cell(seen, points, px, rgb.shape)
        for points in nuclei(seen.nuclear, seen.between, seen.radius)
        if len(points) >= _LEAST_AREA * np.pi * seen.radius**2
    ]
    while pair := _one_in_the_other([cell.box for cell, _ in found]):
        points = np.concatenate([found[place][1] for place in pair])
        kept = [one for place, one in enumerate(found) if place not in pair]
        found = [*kept, _cell(seen, points, px, rgb.shape)]
    return [cell for cell, _ in found]


def red_cell_radius(rgb: np.ndarray) -> float | None:
    """Of those in (H, W, 3) uint8 RGB, about, in its pixels; None where none is found."""
    seen = _look(rgb, 1.0)
    return None if seen is None else seen.radius


class _Seen(NamedTuple):
    """On a small copy.  absorbed: (h, w, 3) by Beer-Lambert, 0 where red cells lie.  nuclear: (h, w) uint8.

    between: (h, w) bool, stained and no red cell.  radius: of the red cells.
    """

    absorbed: np.ndarray
    between: np.ndarray
    nuclear: np.ndarray
    radius: float


def _look(rgb: np.ndarray, px: float) -> _Seen | None:
    """Of a copy whose pixels are `px` of the photograph; None without red cells, which give the scale."""
    height, width = (max(1, round(side / px)) for side in rgb.shape[:2])
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    pixels = field_pixels(cv2.GaussianBlur(small, (3, 3), 0))
    if pixels is None:
        return None
    nuclear = cv2.morphologyEx(pixels.nuclear.view(np.uint8), cv2.MORPH_OPEN, _CROSS)
    inside, radius = _scale(pixels.red_cells)
    widest, most = _scale(pixels.stained & (nuclear == 0))
    if most is not None and (radius is None or radius < _TORN * most):
        inside, radius = widest, most
    if radius is None:
        return None
    # Else the outline would take those that touch a cell for a part of it.
    bodies = pixels.red_cells & _bodies(inside, radius)
    pixels.absorbed[bodies] = 0
    return _Seen(pixels.absorbed, pixels.stained & ~bodies, nuclear, radius)


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def _one_in_the_other(boxes: list[Box]) -> tuple[int, int] | None:
    """The first two of which one lies by more than _INSIDE in the other."""
    for first, one in enumerate(boxes):
        for second in range(first + 1, len(boxes)):
            if share_inside(one, boxes[second]) > _INSIDE:
                return first, second
    return None


def _cell(seen: _Seen, points: np.ndarray, px: float, shape: tuple[int, ...]) -> tuple[WhiteCell, np.ndarray]:
    """The cell around the nucleus of these points, and the points."""
    least, most = (max(1, round(margin * seen.radius)) for margin in _MARGIN)
    low, high = points.min(axis=0), points.max(axis=0) + 1
    start = np.maximum(low - most, 0)
    window = seen.absorbed[start[1] : high[1] + most, start[0] : high[0] + most]
    nucleus = np.zeros(window.shape[:2], bool)
    nucleus[points[:, 1] - start[1], points[:, 0] - start[0]] = True
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


def _scale(red_cells: np.ndarray) -> tuple[np.ndarray, float | None]:
    """How deep in a red cell each pixel of (h, w) bool lies, and about their radius; None without any."""
    inside = cv2.distanceTransform(_without_pale_centres(red_cells), cv2.DIST_L2, 3)
    tops = (inside >= cv2.dilate(inside, np.ones((5, 5), np.uint8))) & (inside > 2)
    heights = inside[tops]
    if len(heights) == 0:
        return inside, None
    heights.sort()
    share = np.cumsum(heights**2)  # by area: specks and the rings of pale cells are many, but small
    return inside, float(heights[np.searchsorted(share, _LARGE * share[-1])])


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
