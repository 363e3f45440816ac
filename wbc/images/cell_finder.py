"""Finds the white cell of a picture by its stain: nucleus, outline, size, and the colour of the empty field.

Classical and deterministic: a threshold on absorbance for the nucleus, the best closed path around it for the
outline.  Works on a small copy, since neither needs detail.  Free of torch: worker processes import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from wbc.images.cell_outline import outline
from wbc.images.empty_field import absorbance, brightest_part, field_colour, median_colour
from wbc.images.three_kinds import limits_between_three

_SIDE = 96  # longer side of the copy that is looked at: lobes stay apart, and a picture takes about 2 ms


@dataclass(frozen=True)
class FoundNucleus:
    """nucleus: (h, w) bool on the copy `small` (h, w, 3), of which one pixel is `px` pixels of the picture.

    field: about the colour of the empty field; absorbed (h, w, 3): by Beer-Lambert, against that.
    others: how many pieces beside it are as good a nucleus.
    """

    nucleus: np.ndarray
    small: np.ndarray
    px: float
    field: np.ndarray
    absorbed: np.ndarray
    others: int

    @property
    def diameter(self) -> float:
        """Of the circle of equal area, in pixels of the picture."""
        return float(2 * np.sqrt(np.count_nonzero(self.nucleus) / np.pi) * self.px)


@dataclass(frozen=True)
class FoundCell:
    """nucleus, cell: (h, w) bool on the small copy, of which one pixel is `px` pixels of the picture.

    centre (x, y) and diameter (of the circle of equal area) in pixels of the picture.  background: the
    median RGB of the empty field, 0..255; None where the picture shows too little of it.  nucleus_colour:
    median RGB of the nucleus, as numbers of grey levels.
    """

    nucleus: np.ndarray
    cell: np.ndarray
    px: float
    centre: tuple[float, float]
    diameter: float
    background: np.ndarray | None
    nucleus_colour: np.ndarray


def find_cell(rgb: np.ndarray) -> FoundCell | None:
    """The white cell nearest the middle of (H, W, 3) uint8 RGB; None without a plausible nucleus."""
    nucleus = find_nucleus(rgb)
    return None if nucleus is None else cell_around(nucleus)


def find_nucleus(rgb: np.ndarray) -> FoundNucleus | None:
    """Its nucleus alone, in a third of the time."""
    px = max(1.0, max(rgb.shape[:2]) / _SIDE)
    height, width = (max(1, round(side / px)) for side in rgb.shape[:2])
    stride = max(1, round(px / 2))  # averaging every pixel would take as long as all the rest
    small = cv2.resize(rgb[::stride, ::stride], (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (3, 3), 0)
    field = brightest_part(small)
    absorbed = absorbance(small, field)
    found = _nuclei(absorbed)
    return None if found is None else FoundNucleus(found[0], small, px, field, absorbed, found[1])


def cell_around(found: FoundNucleus) -> FoundCell:
    """The cell that a nucleus lies in."""
    cell = outline(found.absorbed, found.nucleus)
    area = int(np.count_nonzero(cell))
    moments = cv2.moments(cell.view(np.uint8), binaryImage=True)
    px = found.px
    centre = (moments["m10"] / area + 0.5) * px, (moments["m01"] / area + 0.5) * px
    diameter = float(2 * np.sqrt(area / np.pi) * px)
    dye = median_colour(found.small, found.nucleus.view(np.uint8)).astype(int)
    background = field_colour(found.small, found.field, cell)
    return FoundCell(found.nucleus, cell, px, centre, diameter, background, dye)


_LEVELS, _DARKEST = 64, 2.5  # the stain's scale; what absorbs more is as good as black
_NEAR = 0.25  # sigma of what counts as the middle, in sides of the picture
# Lobes lie nearer to each other than this share of the largest one's width; specks, as platelets are,
# must lie nearer still.
_JOINED = 1.2, 0.5
_SPECK = 0.2  # of the largest lobe's area
_STAINED = 0.2  # mean absorbance of what is no field
_LEAST_PX = 20  # area of a nucleus on the small copy
# Mean of a nucleus: 0.9 and more in pbc, jtsc and drawn smears; of pbc's red cells most have 0.5 at most.
_LEAST_STAIN = 0.7
_OTHER_AREA, _OTHER_STAIN = 0.25, 0.8  # of the cell's own nucleus; platelets are smaller and paler


def _nuclei(absorbed: np.ndarray) -> tuple[np.ndarray, int] | None:
    """(h, w) bool: the darkest of three kinds of pixels, in the middle, in one piece or in lobes.

    And how many pieces beside it are as good a nucleus.  None without any.
    """
    # Red cells absorb green and blue; only the nuclear stain takes red light too.
    stain = np.clip(0.5 * absorbed[..., 0] + absorbed[..., 1], 0, _DARKEST)
    levels = (stain * np.float32((_LEVELS - 1) / _DARKEST)).astype(np.uint8)
    near = _nearness(*levels.shape)
    _, limit = limits_between_three(np.bincount(levels.ravel(), near.ravel(), _LEVELS))
    dark = (levels > limit).view(np.uint8)
    dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    if count < 2:
        return None
    weights = np.bincount(labels.ravel(), near.ravel(), count)
    weights[0] = 0
    main = int(weights.argmax())
    areas = stats[:, cv2.CC_STAT_AREA]
    if areas[main] < _LEAST_PX or stain[labels == main].mean() < _LEAST_STAIN:
        return None
    chosen = np.zeros(count, bool)
    chosen[main] = True
    ground = _ground(absorbed, labels == main)
    large = areas > _SPECK * areas[main]
    for _ in range(2):  # a third lobe may lie behind the second
        away = cv2.distanceTransform((~chosen[labels]).view(np.uint8), cv2.DIST_L2, 3)
        close, closer = (
            np.bincount(labels[ground & (away < share * np.sqrt(areas[main]))], minlength=count) > 0.5 * areas
            for share in _JOINED
        )
        joined = ((close & large) | closer) & (areas < 1.5 * areas[main])
        joined[0] = False
        if (joined <= chosen).all():
            break
        chosen |= joined
    nucleus = np.asarray(chosen[labels])
    means = np.bincount(labels.ravel(), stain.ravel(), count) / areas
    others = (areas > _OTHER_AREA * areas[chosen].sum()) & (means > _OTHER_STAIN * stain[nucleus].mean())
    return nucleus, int(np.count_nonzero(others[1:] & ~chosen[1:]))


def _ground(absorbed: np.ndarray, nucleus: np.ndarray) -> np.ndarray:
    """(h, w) bool: what is connected with the nucleus by anything but field, as lobes of one cell are."""
    stained = (absorbed.mean(axis=2) > _STAINED).view(np.uint8)
    _, grounds = cv2.connectedComponents(stained, connectivity=4)
    return np.asarray(grounds == np.bincount(grounds[nucleus]).argmax())


@lru_cache(maxsize=16)
def _nearness(height: int, width: int) -> np.ndarray:
    """(height, width), 1 in the middle."""
    side = max(height, width)
    y = (np.arange(height) - (height - 1) / 2) / side
    x = (np.arange(width) - (width - 1) / 2) / side
    return np.asarray(np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * _NEAR**2)))
