"""How large the red cells around a white cell are: the scale bar that lies in every picture.

They measure 7 to 8 um in every lab, whatever the magnification.  Here a crop's nucleus is known, which
bounds the search; in photographs, where none is yet, `wbc.images.white_cells` estimates them otherwise.
Free of torch: worker processes import it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from wbc.images.cell_finder import FoundNucleus
from wbc.images.empty_field import absorbance, brightest_part

_SIDE = 192  # px of the longer side of the copy that is looked at
_CLEAR = 0.6  # absorbance of green light, from which nothing is field
_LEAST_STAIN = 0.08  # likewise, up to which all is
_OF_SPLIT = 0.6  # of the threshold between field and stain: a nucleus, far darker, moves it up
# Absorbance of blue over that of green light, which red cells take up and nuclei less: as a share of the
# picture's median, and at least.
_BLUE, _BLUE_FLOOR = 0.8, 0.3
_LEAST_ABSORBANCE = 0.1  # below, that ratio is noise
_LEAST_PX = 50  # of stain beside the nucleus
# Radius of a red cell over that of the nucleus.
_RADII = 0.35, 1.5
_APART = 0.6  # likewise, between two centres
_ROUND = 0.75  # param2 of HOUGH_GRADIENT_ALT; 0.6 and 0.85 measure alike and find a few more and fewer
# Of a disc of 0.9 times the radius.
_CORE = 0.9
_IN_PICTURE = 0.3  # lies in the picture, at least
_FILLED = 0.85  # is red cell, pale centres among it, at least
_NUCLEAR = 0.05  # is nucleus, at most


def nucleus_in_red_cells(rgb: np.ndarray, nucleus: FoundNucleus | None) -> float:
    """Diameter of the nucleus over that of the red cells in (H, W, 3) uint8 RGB; NaN without either."""
    diameter = None if nucleus is None else red_cell_diameter(rgb, nucleus)
    return math.nan if nucleus is None or diameter is None else nucleus.diameter / diameter


def red_cell_diameter(rgb: np.ndarray, nucleus: FoundNucleus) -> float | None:
    """The median of those in (H, W, 3) uint8 RGB, whole or cut by the edge, in its pixels; None without any.

    Ghosts of red cells, of which a lysing stain leaves the rims, are none.
    """
    zoom = _SIDE / max(rgb.shape[:2])
    shrinks = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    small = cv2.GaussianBlur(cv2.resize(rgb, None, fx=zoom, fy=zoom, interpolation=shrinks), (3, 3), 0)
    height, width = small.shape[:2]
    lobes = cv2.resize(nucleus.nucleus.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    near = cv2.dilate(lobes, np.ones((5, 5), np.uint8)) > 0
    red = _red_cells(small, near)
    if red is None:
        return None
    radius = math.sqrt(np.count_nonzero(lobes) / math.pi)
    margin = math.ceil(radius)  # for centres that lie beyond the edge
    framed = cv2.copyMakeBorder(red * 255, margin, margin, margin, margin, cv2.BORDER_CONSTANT)
    least, most = (round(share * radius) for share in _RADII)
    circles = cv2.HoughCircles(
        cv2.GaussianBlur(framed, (5, 5), 0),
        cv2.HOUGH_GRADIENT_ALT,
        dp=1.5,
        minDist=max(4.0, _APART * radius),
        param1=200,
        param2=_ROUND,
        minRadius=max(4, least),
        maxRadius=max(5, most),
    )
    if circles is None:
        return None
    found = circles.reshape(-1, circles.shape[-1])[:, :3] - np.array([margin, margin, 0], np.float32)
    radii = [one[2] for one in found.tolist() if _is_red_cell(red, near, *one)]
    return 2 * float(np.median(radii)) / zoom if radii else None


def _red_cells(small: np.ndarray, near: np.ndarray) -> np.ndarray | None:
    """(h, w) uint8 of 0 and 1, pale centres filled; near: (h, w) bool, the nucleus and its rim."""
    _, green, blue = cv2.split(absorbance(small, brightest_part(small)))
    levels = (np.clip(green, 0, _CLEAR) * np.float32(255 / _CLEAR)).astype(np.uint8)
    split, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
    stained = (green > max(_LEAST_STAIN, _OF_SPLIT * split / 255 * _CLEAR)) & ~near
    if np.count_nonzero(stained) < _LEAST_PX:
        return None
    ratio = blue / np.maximum(green, _LEAST_ABSORBANCE)
    like_blood = ratio >= max(_BLUE * float(np.median(ratio[stained])), _BLUE_FLOOR)
    cells = cv2.morphologyEx(
        (stained & like_blood).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    )
    outlines, _ = cv2.findContours(cells, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(cells), outlines, -1, 1, cv2.FILLED)


def _is_red_cell(red: np.ndarray, near: np.ndarray, x: float, y: float, radius: float) -> bool:
    rows, columns = np.ogrid[: red.shape[0], : red.shape[1]]
    disc = (columns - x) ** 2 + (rows - y) ** 2 < (_CORE * radius) ** 2
    inside = int(np.count_nonzero(disc))
    return bool(
        inside > _IN_PICTURE * math.pi * (_CORE * radius) ** 2
        and red[disc].mean() > _FILLED
        and near[disc].mean() < _NUCLEAR
    )
