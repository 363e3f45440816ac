"""Which pixels of a photograph are red cells and which are nuclei, whatever the stain.

No colour is the same in two labs, so that each photograph is its own measure: what most of its stained pixels
are like, which are of red cells.  A nucleus takes up more light than these, of red light above all, and for
its green less blue.  Free of torch: worker processes import it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from wbc.images.field_light import field_absorbance
from wbc.images.three_kinds import limits_between_three

_LEVELS = 64  # of histograms
_CLEAR = 0.9  # absorbance of green or blue light, from which nothing is field
_LEAST_STAIN = 0.06  # likewise, up to which all is
# What lies below the first limit is two kinds where their means are so many spreads of the field apart: red
# cells so pale that the limit came to lie above them.  Of one kind that is cut in two it is about 3.
_TWO_KINDS = 6.0
_PALE_ONES = 0.01  # of those pixels at least

_LEAST_RED = 0.25  # absorbance of red light in a nucleus, whatever the red cells absorb
# Stain is half of the absorbance of red light and all of that of green.
_DARKEST = 2.5  # what has more of it is as good as black
_MOSTLY_PALE = 0.6  # of what is stained; where less would be, the limit lies within the red cells
# Times what is usual for red cells.
_OVER = 1.2  # absorbance of red light in a nucleus
_STRONG = 2.0  # stain that is enough in one, even where others are far darker
_FAR_OVER = 8.0  # absorbance of red light in a nucleus with less stain, as smudges have
_FAR = 3.0  # red and stain from which the share of blue matters less
# Absorbance of red over that of green light: in red cells of some stains it is 0, and green letters have more
# than any nucleus.
_PURPLE = 0.18, 1.25
# Absorbance of blue over that of green light, at most: in nuclei of four labs 0.14 to 0.44, in red cells,
# which take up blue, 0.37 to 0.77.  A share of what is usual for red cells, and a floor.
_BLUE, _BLUE_FLOOR = 0.8, 0.33


class FieldPixels(NamedTuple):
    """absorbed: (h, w, 3) float32 by Beer-Lambert.  stained, red_cells, nuclear: (h, w) bool.

    red_cells: what has their colour; cytoplasm may have it too.
    """

    absorbed: np.ndarray
    stained: np.ndarray
    red_cells: np.ndarray
    nuclear: np.ndarray


def field_pixels(small: np.ndarray) -> FieldPixels | None:
    """The kinds of the pixels of (h, w, 3) uint8 RGB; None where nothing but nuclei is stained."""
    absorbed = field_absorbance(small)
    red, green, blue = cv2.split(absorbed)
    stained = _stained(np.maximum(green, blue))  # in green light alone, red cells of yellow stains are pale
    stain = 0.5 * red + green
    darker = _limits(stain, _DARKEST)[1]
    pale = _pale(red, stain, stained, darker)
    if not pale.any():
        return None
    ratio = blue / np.maximum(green, _LEAST_STAIN)
    usual_red, usual_stain, usual_ratio = (float(np.median(one[pale])) for one in (red, stain, ratio))
    like_blood = ratio >= max(_BLUE * usual_ratio, _BLUE_FLOOR)
    deep = red > max(_LEAST_RED, _OVER * usual_red)
    strong = (stain > min(darker, _STRONG * usual_stain)) | (red > _FAR_OVER * usual_red)
    far = (stain > _FAR * usual_stain) & (red > _FAR * usual_red) & (ratio < usual_ratio)
    purple = (red > _PURPLE[0] * green) & (red < _PURPLE[1] * green)
    nuclear = deep & strong & purple & (~like_blood | far)
    return FieldPixels(absorbed, stained, stained & like_blood, nuclear)


def _stained(tint: np.ndarray) -> np.ndarray:
    """(h, w) bool: what is no field, of absorbance (h, w)."""
    limit = _limits(tint, _CLEAR)[0]
    below = tint[tint <= limit]
    split = _otsu(below, limit)
    field, pale = below[below <= split], below[below > split]
    two = min(len(field), len(pale)) > _PALE_ONES * len(below)
    if two and pale.mean() - field.mean() > _TWO_KINDS * field.std():
        limit = split
    return np.asarray(tint > max(_LEAST_STAIN, limit))


def _pale(red: np.ndarray, stain: np.ndarray, stained: np.ndarray, darker: float) -> np.ndarray:
    """(h, w) bool: what is stained and no nucleus, mostly red cells."""
    if not stained.any():
        return stained
    pale = stained & (red < max(_LEAST_RED, _otsu(red[stained], _DARKEST)))
    if np.count_nonzero(pale) < _MOSTLY_PALE * np.count_nonzero(stained):
        pale = stained & (stain < darker)
    return pale


def _limits(absorbed: np.ndarray, most: float) -> tuple[float, float]:
    """Absorbances between three kinds of pixels of (h, w), those above `most` counted as that."""
    levels = (np.clip(absorbed, 0, most) * np.float32((_LEVELS - 1) / most)).astype(np.uint8)
    low, high = limits_between_three(np.bincount(levels.ravel(), minlength=_LEVELS))
    return low / (_LEVELS - 1) * most, high / (_LEVELS - 1) * most


def _otsu(absorbed: np.ndarray, most: float) -> float:
    """The absorbance between two kinds (Otsu 1979); the field's, which is about 0, may be below it."""
    least = -0.1
    scaled = (np.clip(absorbed, least, most) - least) * np.float32(255 / (most - least))
    limit, _ = cv2.threshold(scaled.astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return limit / 255 * (most - least) + least
