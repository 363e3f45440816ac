"""A picture with the heat of an explanation over it, and what is said where there is none."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

from wbc.heat.lettering import INK, PALE, fitted, font
from wbc.images.decode import resize

# Perceptually uniform: equal steps of heat look equally large, to colour-blind readers too, and lightness
# alone keeps their order. Not inferno or magma, whose purples are those of the stain.
_COLOURS = np.array(colormaps["viridis"].colors, np.float32) * 255  # type: ignore[attr-defined]
# How much of the heat's colour covers the cell: none where nothing speaks for the class, never all of it.
_COVER = (0.8 * np.sqrt(np.linspace(0, 1, len(_COLOURS), dtype=np.float32)))[:, None]
_LIGHTEST = 215  # white field would swallow the yellow of the most heat

NO_HEAT = "no positive heat"  # of an explanation whose map is all zero


@dataclass(frozen=True)
class Tile:
    """A square picture (side, side, 3) uint8 and what is written over it."""

    pixels: np.ndarray
    message: str = ""


def image_tile(image: np.ndarray, side: int) -> Tile:
    """The image (H, W, 3) uint8 as it is; ValueError for another kind of array."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"the explained image is {image.dtype} {image.shape}: expected (H, W, 3) uint8")
    return Tile(resize(image, side))


def heat_tile(image: np.ndarray, heat: np.ndarray | str, side: int, method: str) -> Tile:
    """Heat (H, W) >= 0, scaled by its own maximum, over the image (H, W, 3) in grey; or why there is none.

    A map without any heat, or with a value that is not finite, is said to be so over the dimmed image.
    Raises ValueError for a map of another size than the image, and for negative heat.
    """
    # Grey, so that every colour to be seen is heat and none is stain.
    grey = cv2.cvtColor(resize(image, side), cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    dimmed = np.repeat(255 - (255 - grey) * 0.3, 3, axis=2).astype(np.uint8)
    if isinstance(heat, str):
        return Tile(dimmed, f"failed: {heat}")
    if heat.shape != image.shape[:2]:
        raise ValueError(
            f"{method}: the map is {heat.shape} over an image of {image.shape[:2]}: expected one size"
        )
    heat = heat.astype(np.float32)
    if not np.isfinite(heat).all():
        return Tile(dimmed, "failed: the heat is not finite")
    if heat.min() < 0:
        raise ValueError(f"{method}: negative heat ({heat.min():g}): pass only what speaks for the class")
    way = cv2.INTER_AREA if max(heat.shape) > side else cv2.INTER_LINEAR
    small = cv2.resize(heat, (side, side), interpolation=way)
    if (peak := small.max()) <= 0:
        return Tile(dimmed, NO_HEAT)
    return Tile(blended(grey * (_LIGHTEST / 255), (small / peak * 255).astype(np.uint8)))


def blended(grey: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Heat of `levels` (H, W) uint8 over a picture (H, W, 1) float of 0..255, as (H, W, 3) uint8."""
    cover = _COVER[levels]  # (H, W, 1)
    return (grey * (1 - cover) + (_COLOURS * _COVER)[levels]).astype(np.uint8)


def paste(canvas: Image.Image, tile: Tile, left: int, top: int, size: int) -> None:
    """Draw a tile with its message in letters of `size` pixels, framed, for some fields are pure white."""
    side = len(tile.pixels)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((left - 1, top - 1, left + side, top + side), outline=PALE)
    canvas.paste(Image.fromarray(tile.pixels), (left, top))
    if not tile.message:
        return
    letters = font(size)
    lines = textwrap.wrap(tile.message, int(side / size * 1.6), max_lines=5, placeholder=" …")
    text = "\n".join(fitted(line, letters, side - 8) for line in lines)
    middle = (left + side / 2, top + side / 2)
    x0, y0, x1, y1 = draw.textbbox(middle, text, letters, anchor="mm", align="center")
    draw.rectangle((x0 - 3, y0 - 3, x1 + 3, y1 + 3), "white")
    draw.text(middle, text, INK, letters, anchor="mm", align="center")


def beside_heat(image: np.ndarray, heat: np.ndarray | str, side: int, method: str) -> np.ndarray:
    """The image and to its right its heat, each `side` pixels wide, as (h, w, 3) uint8 with a pale frame.

    Arguments and errors as for `image_tile` and `heat_tile`.
    """
    canvas = Image.new("RGB", (2 * side + 4, side + 2), "white")
    paste(canvas, image_tile(image, side), 1, 1, side // 9)
    paste(canvas, heat_tile(image, heat, side, method), side + 3, 1, side // 9)
    return np.asarray(canvas)
