"""Copies of a picture as they come about: resized, recompressed, cropped, turned."""

import functools

import cv2
import numpy as np

from wbc.labels import CLASSES
from wbc.synthetic.draw import LABS, draw_cell


@functools.cache
def cell(seed: int, size_px: int = 96) -> np.ndarray:
    """A drawn cell; no other seed gives a copy."""
    rng = np.random.default_rng(seed)
    rgb, _ = draw_cell(CLASSES[seed % len(CLASSES)], LABS["lab_a"], rng, size_px)
    rgb.flags.writeable = False
    return rgb


def resized(rgb: np.ndarray, factor: float) -> np.ndarray:
    size = round(rgb.shape[1] * factor), round(rgb.shape[0] * factor)
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)


def recompressed(rgb: np.ndarray, quality: int = 50) -> np.ndarray:
    saved = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(saved, cv2.IMREAD_COLOR)[..., ::-1])


def cropped(rgb: np.ndarray, share: float = 0.03) -> np.ndarray:
    """By a share of its height and width, at one corner."""
    return np.ascontiguousarray(rgb[round(share * rgb.shape[0]) :, round(share * rgb.shape[1]) :])
