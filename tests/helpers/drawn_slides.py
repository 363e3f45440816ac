"""Whole slides, drawn: pyramidal tiled TIFF files that OpenSlide reads."""

from pathlib import Path

import cv2
import numpy as np
import tifffile

from tests.helpers.drawn_fields import GROUND, Place, smear


def slide_pixels(white: list[Place], shape: Place, empty_from: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a smear with white cells at these centres (x, y), and glass from `empty_from`."""
    pixels = np.full((*shape, 3), GROUND, np.uint8)
    pixels[:, :empty_from] = smear(white, (shape[0], empty_from), seed)
    return pixels


def write_slide(file: Path, pixels: np.ndarray, um_per_px: float | None = None) -> Path:
    """Levels shrunk by 1, 4 and 16; OpenSlide takes the resolution of a plain TIFF from tags."""
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {} if um_per_px is None else {"resolution": (1e4 / um_per_px,) * 2, "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(file) as tiff:
        for shrunk in (1, 4, 16):
            shape = pixels.shape[1] // shrunk, pixels.shape[0] // shrunk
            level = cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA)
            kind = {"photometric": "rgb", "compression": "zlib", "subfiletype": int(shrunk > 1)}
            tiff.write(level, tile=(256, 256), metadata=None, **kind, **told)
    return file
