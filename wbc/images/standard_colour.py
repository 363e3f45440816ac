"""Colours in the standard way, as tables for `cv2.LUT`: the empty field white, nuclei as one dye shows them.

Two places of every picture have a colour that is known beforehand.  Glass is white under white light; and
nuclei hold the same dye whatever the cell, so that what their colour says is said about dye and camera.
Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

import numpy as np

WHITE = 238.0  # grey level of the field: light enough, and nothing saturates by noise
GAIN = (0.5, 4.0)  # limits in linear light: yellow glass lacks a factor of 3 in blue
NUCLEUS = (80.0, 42.0, 160.0)  # median RGB of nuclei in the PBC set, on a field of WHITE
DENSITY = (0.5, 2.0)  # limits of the factor on optical density; beyond, it is rather no nucleus

_CODE = np.arange(256) / 255
_LIGHT = np.where(_CODE <= 0.04045, _CODE / 12.92, ((_CODE + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1


def whitening(field: np.ndarray) -> np.ndarray:
    """The table (256, 1, 3) uint8 that takes the RGB `field` to WHITE by a gain of linear light."""
    at = [np.interp(value, np.arange(256), _LIGHT) for value in (WHITE, *field)]
    gain = np.clip(at[0] / np.maximum(at[1:], 1e-3), *GAIN)
    light = np.minimum(_LIGHT[:, None] * gain, 1)
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(code * 255).astype(np.uint8)[:, None]


def restaining(nucleus: np.ndarray) -> np.ndarray:
    """The table (256, 1, 3) uint8 that takes the RGB `nucleus` to NUCLEUS and leaves WHITE as it is.

    Each channel's density, the logarithm of WHITE over its value, is multiplied: the law by which dyes add up
    (Beer-Lambert), on code values, since cameras write them nearly so.
    """
    density = -np.log(np.clip(nucleus, 4, WHITE - 8) / WHITE)  # black and white have none that is finite
    factor = np.clip(-np.log(np.array(NUCLEUS) / WHITE) / density, *DENSITY)
    code = WHITE * (np.arange(256)[:, None] / WHITE) ** factor
    return np.rint(np.minimum(code, 255)).astype(np.uint8)[:, None]
