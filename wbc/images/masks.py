"""Outlines of cell and nucleus drawn beside an image, and how much of a heat map lies inside them."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from wbc.errors import FileError
from wbc.images.boxes import Box, photograph_of

MASK_CYTOPLASM = 128
MASK_NUCLEUS = 255
_VALUES = (0, MASK_CYTOPLASM, MASK_NUCLEUS)
_FORMAT = f"8-bit grey PNG with 0 background, {MASK_CYTOPLASM} cytoplasm, {MASK_NUCLEUS} nucleus"


class MaskError(FileError):
    """A mask that is missing or cannot be used."""


def mask_path(image_path: str | Path, masks_folder: str | Path) -> Path:
    """The image's mask: in `masks_folder` at the end of the image's own path, with the suffix .png.

    The longest end that exists wins: for data/train/Neutrophil/001.jpg it is train/Neutrophil/001.png before
    Neutrophil/001.png before 001.png.  For a box it is the mask of the whole photograph.
    Raises MaskError, naming the places, where there is none.
    """
    photograph = Path(os.path.abspath(photograph_of(str(image_path))))
    parts = photograph.with_suffix(".png").parts[1:]  # without the root
    ends = [Path(*parts[start:]) for start in range(len(parts))]
    for end in ends:
        if (mask := Path(masks_folder) / end).is_file():
            return mask
    places = ", ".join(str(end) for end in reversed(ends[-3:]))
    raise MaskError(image_path, f"no mask for it under {masks_folder}: expected {places} or a longer path")


def read_mask(path: str | Path, image_shape: tuple[int, ...], box: Box | None = None) -> np.ndarray:
    """(H, W) uint8 of 0 background, 128 cytoplasm and 255 nucleus.

    image_shape: of the image as `wbc.images.decode.decode` returns it, (H, W) or (H, W, 3).
    box: where the image lies in its photograph, of which this is the mask.
    Raises MaskError for a file that is missing, damaged or no 8-bit grey PNG, of another size than the
    image, with other values, or without any cell.
    """
    height, width = image_shape[:2]
    try:
        with open(path, "rb") as file, Image.open(file, formats=["PNG"]) as image:
            if image.mode != "L":
                raise MaskError(path, f"its pixels are {image.mode}; save it as {_FORMAT}")
            lies_inside = box is not None and box.within(*image.size) == box
            part = image.crop(box) if lies_inside else image
            if part.size != (width, height):
                raise MaskError(
                    path,
                    f"{image.width} x {image.height} pixels where its image has {width} x {height}; "
                    "draw it on the image itself, uncropped",
                )
            mask = np.asarray(part)
    except MaskError:
        raise
    except FileNotFoundError as problem:
        raise MaskError(path, "there is no such mask; mend the path") from problem
    except (IsADirectoryError, PermissionError) as problem:
        raise MaskError(path, f"{problem.strerror}; mend the path or its permissions") from problem
    except Exception as problem:  # on damaged bytes, decoders raise errors of every type
        raise MaskError(
            path, f"cannot be read ({type(problem).__name__}: {problem}); save it as {_FORMAT}"
        ) from problem
    foreign = np.setdiff1d(mask, _VALUES)
    if len(foreign):
        listed = ", ".join(map(str, foreign[:8])) + (", ..." if len(foreign) > 8 else "")
        raise MaskError(path, f"holds the values {listed}; save it as {_FORMAT}, without smoothing")
    if not mask.any():
        raise MaskError(path, "holds no cell: every pixel is 0; outline the cell, or take the mask out")
    return mask


def localisation(heat: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """How much of the heat lies in the cell, and how much in its nucleus and its cytoplasm.

    heat: (h, w), >= 0.  mask: (H, W) as `read_mask` returns it; it is brought to the heat's shape, as the
    image was for the network.
    Returns of each of them `heat_in_cell`, ..., the share of all heat in [0, 1]; the same with `_over_area`,
    divided by the share of pixels inside, 1 for heat spread evenly; and `hit_cell`, ..., whether the hottest
    pixel lies inside (pointing game, Zhang 2018), of several hottest ones the share. All are NaN without any
    heat, and those of what has no pixel are.
    Raises ValueError for heat that is negative or not finite.
    """
    if not (np.isfinite(heat) & (heat >= 0)).all():
        raise ValueError("heat is negative or not finite: it has no shares")
    height, width = heat.shape
    # EXACT samples at pixel centres, as the image's own interpolation does; plain NEAREST is shifted.
    mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    total = heat.sum(dtype=np.float64)
    hottest = heat == heat.max()
    measures: dict[str, float] = {}
    parts = ("cell", mask > 0), ("nucleus", mask == MASK_NUCLEUS), ("cytoplasm", mask == MASK_CYTOPLASM)
    for name, inside in parts:
        if total > 0 and inside.any():
            share = heat[inside].sum(dtype=np.float64) / total
            values = [share, share / inside.mean(), inside[hottest].mean()]
        else:
            values = [np.nan] * 3
        keys = (f"heat_in_{name}", f"heat_in_{name}_over_area", f"hit_{name}")
        measures |= {key: float(value) for key, value in zip(keys, values, strict=True)}
    return measures
