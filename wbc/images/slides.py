"""Whole slides, which are larger than memory: opened by OpenSlide, and read a region at a time.

OpenSlide is an extra and is imported when a slide is opened.  Worker processes import this module, so it
stays free of torch and pandas.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Protocol

import cv2
import numpy as np
from PIL import Image

from wbc.errors import ImageError
from wbc.images.boxes import Box
from wbc.images.file_limits import MAX_PIXELS

SUFFIXES = (".bif", ".czi", ".mrxs", ".ndpi", ".scn", ".svs", ".svslide")  # lower case
NEEDED = ("openslide",)
NOT_INSTALLED = "a whole slide, which OpenSlide reads: pip install openslide-python openslide-bin"
_TIFF_SUFFIXES = (".tif", ".tiff")
_TILES = 324  # TIFF 6.0 tag
_MOST_PX = 40_000_000  # of a level that is read as a whole


class Slide(Protocol):
    """A slide of width x height px at its highest resolution; all boxes are in these.

    um_per_px: None where the file does not say.
    """

    width: int
    height: int
    um_per_px: float | None

    def region(self, box: Box, px: float = 1.0) -> np.ndarray:
        """What is in the box, (h, w, 3) uint8 RGB, a pixel for `px` of the slide; white beside the slide."""

    def overview(self, longest: int) -> np.ndarray | None:
        """The whole, at most `longest` pixels wide and high; None where the file has no small copy of it."""


def is_slide(path: str) -> bool:
    """By the suffix; a TIFF file where it is tiled, and too large for a photograph or has several pages."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _TIFF_SUFFIXES:
        return suffix in SUFFIXES
    try:
        with Image.open(path, formats=["TIFF"]) as image:
            if _TILES not in image.tag_v2:  # type: ignore[attr-defined]
                return False
            if image.width * image.height > MAX_PIXELS:
                return True
            image.seek(1)  # asked so, for counting the pages follows a chain of any length
            return True
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return True
    except Exception:  # one page, or damaged: `decode` says what is wrong
        return False


class _Opened(threading.local):
    """What a thread opened last: a handle must not be shared with a process that is forked later."""

    known_by: tuple[object, ...] | None = None
    slide: Slide | None = None


_last = _Opened()


def open_slide(path: str) -> Slide:
    """The slide; each thread keeps the last one open.

    Raises ImageError where it cannot be read, or OpenSlide is not installed.
    """
    try:
        status = os.stat(path)
        known_by = (os.getpid(), path, status.st_size, status.st_mtime_ns)
        if _last.slide is None or _last.known_by != known_by:
            _last.known_by = _last.slide = None
            _last.slide = _OpenSlide(path)
            _last.known_by = known_by
        return _last.slide
    except OSError as problem:
        raise ImageError(path, f"{problem.strerror}; mend the path or its permissions") from problem


class _OpenSlide:
    def __init__(self, path: str) -> None:
        try:
            import openslide
        except ImportError as problem:
            raise ImageError(path, NOT_INSTALLED) from problem
        self._path = path
        self._errors = (openslide.OpenSlideError, OSError)
        try:
            self._file: Any = openslide.OpenSlide(path)
        except openslide.OpenSlideError as problem:
            raise ImageError(
                path, f"no slide that OpenSlide reads ({problem}); copy it again from its origin"
            ) from problem
        self.width, self.height = self._file.dimensions
        told = self._file.properties.get(openslide.PROPERTY_NAME_MPP_X)
        self.um_per_px = float(told) if told else None

    def region(self, box: Box, px: float = 1.0) -> np.ndarray:
        level = self._file.get_best_level_for_downsample(px * 1.01)  # files round how far a level is shrunk
        shrunk = self._file.level_downsamples[level]
        shape = [max(1, round(side / shrunk)) for side in (box.x1 - box.x0, box.y1 - box.y0)]
        try:
            read = self._file.read_region((box.x0, box.y0), level, shape)
        except self._errors as problem:
            raise ImageError(
                self._path, f"damaged ({problem}) at {box.x0}, {box.y0}; copy it again from its origin"
            ) from problem
        white = Image.new("RGBA", read.size, "white")
        rgb = np.asarray(Image.alpha_composite(white, read).convert("RGB"))
        wanted = tuple(max(1, round(side / px)) for side in (box.x1 - box.x0, box.y1 - box.y0))
        return rgb if read.size == wanted else cv2.resize(rgb, wanted, interpolation=cv2.INTER_AREA)

    def overview(self, longest: int) -> np.ndarray | None:
        px = max(1.0, max(self.width, self.height) / longest)
        level = self._file.get_best_level_for_downsample(px)
        width, height = self._file.level_dimensions[level]
        if width * height > _MOST_PX:
            return None
        return self.region(Box(0, 0, self.width, self.height), px)
