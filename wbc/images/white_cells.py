"""Every white cell in a photograph of a field: nuclei by the stain that red cells do not take, then outlines.

Classical and deterministic.  The scale comes from the picture itself, from its red cells, which are 7 to 8 um
across; the nucleus of a white cell is hardly smaller.  Free of torch: worker processes import it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from wbc.images.boxes import Box
from wbc.images.cell_outline import outline
from wbc.images.empty_field import absorbance, brightest_part

_LONGEST = 1024  # px of the copy that is looked at
_CLEAR = 0.6  # absorbance of green light, from which nothing is field
_LEAST_STAIN = 0.1  # likewise, up to which all is
_LEAST_RED = 0.25  # absorbance of red light in a nucleus, whatever the red cells absorb
_OVER_RED_CELLS = 1.2  # times that of the red cells
_PURPLE = 0.18  # absorbance of red over that of green light, at least; in red cells of some stains it is 0
# Absorbance of blue over that of green light, at most: in nuclei of four labs 0.14 to 0.44, in red cells,
# which take up blue, 0.37 to 0.77.  A share of that of the red cells in the picture, and a floor.
_BLUE, _BLUE_FLOOR = 0.8, 0.33
_GREEN = 1.1  # likewise, at most: green letters and pointers are no nuclei
_LARGE = 0.7  # quantile of what is measured of red cells: where they touch or overlap, it is too little
_SPECK = 0.02  # of a red cell's area; smaller pieces are no lobes
# In radii of a red cell.
_JOINED = 1.25  # from lobe to lobe of a nucleus, at most
_EXTENT = 2.3  # radius of the circle around a nucleus, at most
_MARGIN = 0.35, 1.0  # from the nucleus to the edge of the cell, at least and at most
_LEAST_AREA = 0.3  # of a nucleus, in that of a red cell; platelets and dirt have less
_INSIDE = 0.5  # of a box, in another: both are of one cell
_LOBE = 0.8  # likewise, at most, of what can be a lobe of another piece


class WhiteCell(NamedTuple):
    """In pixels of the photograph.  nucleus_diameter: of the circle of equal area."""

    box: Box
    nucleus_diameter: float
    at_border: bool


def find_white_cells(rgb: np.ndarray) -> list[WhiteCell]:
    """Those in (H, W, 3) uint8 RGB, in no particular order."""
    px = max(1.0, max(rgb.shape[:2]) / _LONGEST)
    height, width = (max(1, round(side / px)) for side in rgb.shape[:2])
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (3, 3), 0)
    absorbed = absorbance(small, brightest_part(small))
    red, green, blue = cv2.split(absorbed)
    levels = (np.clip(green, 0, _CLEAR) * np.float32(255 / _CLEAR)).astype(np.uint8)
    split, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
    stained = green > max(_LEAST_STAIN, split / 255 * _CLEAR)
    if not stained.any():
        return []
    ratio = blue / np.maximum(green, _LEAST_STAIN)
    like_blood = ratio >= max(_BLUE * float(np.median(ratio[stained])), _BLUE_FLOOR)
    red_cells = stained & like_blood
    of_red_cells = float(np.median(red[red_cells])) if red_cells.any() else 0.0
    deep = red > max(_LEAST_RED, _OVER_RED_CELLS * of_red_cells)
    purple = (red > _PURPLE * green) & (red < _GREEN * green)
    nuclear = cv2.morphologyEx((deep & purple & ~like_blood).view(np.uint8), cv2.MORPH_OPEN, _CROSS)
    radius = _red_cell_radius(red_cells)
    if radius is None:
        return []
    beside = absorbed.copy()
    beside[red_cells] = 0  # else the outline would take those that touch the cell for a part of it
    found = [
        (nucleus, _cell(beside, nucleus, radius, px, rgb.shape))
        for nucleus in _nuclei(nuclear, radius)
        if np.count_nonzero(nucleus) >= _LEAST_AREA * np.pi * radius**2
    ]
    while pair := _one_in_the_other([cell.box for _, cell in found]):
        nucleus = found[pair[0]][0] | found[pair[1]][0]
        kept = [one for place, one in enumerate(found) if place not in pair]
        found = [*kept, (nucleus, _cell(beside, nucleus, radius, px, rgb.shape))]
    return [cell for _, cell in found]


def _one_in_the_other(boxes: list[Box]) -> tuple[int, int] | None:
    """The first two of which one lies by more than _INSIDE in the other."""
    for first, one in enumerate(boxes):
        for second in range(first + 1, len(boxes)):
            other = boxes[second]
            across = min(one.x1, other.x1) - max(one.x0, other.x0)
            down = min(one.y1, other.y1) - max(one.y0, other.y0)
            smaller = min((box.x1 - box.x0) * (box.y1 - box.y0) for box in (one, other))
            if across > 0 and down > 0 and across * down > _INSIDE * smaller:
                return first, second
    return None


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def _nuclei(nuclear: np.ndarray, radius: float) -> list[np.ndarray]:
    """(h, w) bool for each: pieces of (h, w) uint8, joined where they are lobes of one."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(nuclear, connectivity=8)
    whole = np.pi * radius**2
    pieces = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] >= _SPECK * whole]
    points = {n: np.column_stack(np.nonzero(labels == n)[::-1]).astype(np.float32) for n in pieces}
    groups = {n: [n] for n in pieces}
    gaps = sorted(
        (gap, one, other)
        for place, one in enumerate(pieces)
        for other in pieces[place + 1 :]
        if (gap := _gap(points[one], points[other])) <= _JOINED * radius
    )
    for _, one, other in gaps:
        first, second = (next(key for key, group in groups.items() if n in group) for n in (one, other))
        if first == second:
            continue
        together = groups[first] + groups[second]
        areas = [sum(len(points[n]) for n in groups[key]) for key in (first, second)]
        extent = cv2.minEnclosingCircle(np.concatenate([points[n] for n in together]))[1]
        if min(areas) <= _LOBE * whole and extent <= _EXTENT * radius:
            groups[first] = together
            del groups[second]
    return [np.isin(labels, group) for group in groups.values()]


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """Between two sets of points (N, 2), by their outlines, about."""
    apart = [points[:: max(1, len(points) // 200)] for points in (one, other)]
    return float(np.sqrt(((apart[0][:, None] - apart[1][None]) ** 2).sum(axis=2).min()))


def _cell(
    absorbed: np.ndarray, nucleus: np.ndarray, radius: float, px: float, shape: tuple[int, ...]
) -> WhiteCell:
    least, most = (max(1, round(margin * radius)) for margin in _MARGIN)
    x, y, width, height = cv2.boundingRect(nucleus.view(np.uint8))
    rows = slice(max(0, y - most), y + height + most)
    columns = slice(max(0, x - most), x + width + most)
    inside = np.ascontiguousarray(nucleus[rows, columns])
    cell = outline(absorbed[rows, columns], inside)
    left, top, across, down = cv2.boundingRect(cell.view(np.uint8))
    left, top = min(left + columns.start, x - least), min(top + rows.start, y - least)
    right = max(columns.start + cv2.boundingRect(cell.view(np.uint8))[0] + across, x + width + least)
    bottom = max(rows.start + cv2.boundingRect(cell.view(np.uint8))[1] + down, y + height + least)
    edges = (np.array([left, top, right, bottom]) * px).round().astype(int)
    at_border = left <= 0 or top <= 0 or right >= absorbed.shape[1] or bottom >= absorbed.shape[0]
    area = np.count_nonzero(nucleus) * px**2
    return WhiteCell(
        Box(*edges.tolist()).within(shape[1], shape[0]), float(2 * np.sqrt(area / np.pi)), bool(at_border)
    )


def _red_cell_radius(red_cells: np.ndarray) -> float | None:
    """About, in pixels of (h, w) bool; None where there are none."""
    inside = cv2.distanceTransform(_without_pale_centres(red_cells), cv2.DIST_L2, 3)
    tops = (inside >= cv2.dilate(inside, np.ones((5, 5), np.uint8))) & (inside > 2)
    heights = inside[tops]
    if len(heights) == 0:
        return None
    heights.sort()
    share = np.cumsum(heights**2)  # by area: specks and the rings of pale cells are many, but small
    return float(heights[np.searchsorted(share, _LARGE * share[-1])])


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
