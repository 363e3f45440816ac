"""Image files as labs have them, turned into one kind of array: 8-bit RGB, upright, of one size.

Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import threading
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import PIL
from PIL import Image, ImageOps

from wbc.errors import ImageError
from wbc.images.boxes import Box, photograph_and_box
from wbc.images.file_limits import RESAVE, refuse_by_header, refuse_jpeg, tag
from wbc.images.sample_depth import eight_bit
from wbc.images.slides import is_slide, open_slide

# Lower case; to be compared without case.
SUFFIXES = (".bmp", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# What decoded pixels depend on; raise the number whenever `decode` gives other pixels than before.
DECODER = f"2/pillow-{PIL.__version__}"

# A phone on a microscope writes a JPEG with a preview behind it, which Pillow then calls MPO.
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_PHOTOMETRIC, _ORIENTATION, _MAX_SAMPLE = 262, 274, 281  # TIFF 6.0 tags; EXIF 2.3 has the second too
_DARK = 64  # no picture through a bright-field microscope is darker all over, in 8 bits


def decode(source: str | Path | bytes | Image.Image) -> np.ndarray:
    """A picture as a viewer shows it: (H, W, 3) uint8 RGB.

    source: the path of a file, the name of a box in it (`wbc.images.boxes`), what such a file holds, or an
    image that Pillow has opened.
    For a box the whole photograph is decoded; each thread keeps the last one for the next box, since those of
    a photograph mostly follow each other.  Of a whole slide that region alone is read.
    16-bit samples are taken to 8 bits linearly, without stretching (as libpng does), so that brightness stays
    comparable between files; see `wbc.images.sample_depth` for cameras of 10, 12 and 14 bits. Transparency is
    laid over white, the empty field of a bright-field microscope. EXIF and TIFF rotation is applied, colour
    profiles are not, as in Keras.
    Raises ImageError for a file that is missing, empty, damaged, no regular file, no image, too large, holds
    several pages, or samples that have no one meaning as colour (floating point, 32-bit, 12-bit), and for a
    box that is empty or not wholly inside its photograph.
    """
    path = source if isinstance(source, str | Path) else "an image in memory"
    box = None
    if isinstance(source, str | Path):
        source, box = photograph_and_box(str(source))
    try:
        if isinstance(source, Image.Image):
            return _pixels(source, path)
        if isinstance(source, bytes):
            return _opened(io.BytesIO(source), path)
        if is_slide(source):
            return _of_slide(source, box, path)
        # An open file, not its path: given a path, Pillow 13 maps uncompressed grey TIFF files into memory
        # and then scrambles those with a rotation of 90 degrees.
        with open(source, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError(path, "a pipe or a device, not a regular file; copy the picture into a file")
            if box is None:
                return _opened(file, path)
            return _cut(_photograph(file, path), box, path)
    except ImageError:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as problem:
        raise ImageError(
            path, f"{problem.strerror}; mend the path or its permissions, or take the row out"
        ) from problem
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise ImageError(path, f"too large ({problem}); crop it to single cells") from problem
    except Exception as problem:  # on damaged bytes, decoders raise errors of every type
        raise ImageError(
            path, f"damaged ({type(problem).__name__}: {problem}); copy it again from its origin"
        ) from problem


class _LastPhotograph(threading.local):
    """What a thread decoded last to cut a box out of it; `known_by`: the file as it was."""

    known_by: tuple[int, ...] | None = None
    pixels: np.ndarray | None = None


_last = _LastPhotograph()


def _photograph(file: BinaryIO, path: str | Path) -> np.ndarray:
    status = os.fstat(file.fileno())
    known_by = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if _last.pixels is None or _last.known_by != known_by:
        _last.known_by = _last.pixels = None  # before the next one takes memory
        _last.pixels = _opened(file, path)
        _last.known_by = known_by
    return _last.pixels


def upright_size(path: str) -> tuple[int, int] | None:
    """Width and height of what `decode` gives, mostly from the header; None for a file that it refuses."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                with Image.open(file, formats=_FORMATS) as image:
                    if image.getexif().get(_ORIENTATION, 1) == 1:
                        return image.size
        height, width = decode(path).shape[:2]  # turned: releases of Pillow differ in what a header then says
    except Exception:  # `decode` will say what is wrong with it
        return None
    return width, height


def header_size(content: bytes) -> tuple[int, int] | None:
    """Width and height that what a file holds announces, before it is turned; None where it is no image.

    Raises ImageError for so many pixels that Pillow does not open it.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            return image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise ImageError("an image in memory", f"too large ({problem}); crop it to single cells") from problem
    except Exception:  # `decode` will say what is wrong with it
        return None


def _cut(rgb: np.ndarray, box: Box, path: str | Path) -> np.ndarray:
    """The pixels of a box alone, so that those of the photograph need not be kept."""
    height, width = rgb.shape[:2]
    if box.is_empty:
        raise ImageError(path, "the box has no area; mend it, or take its row out")
    inside = box.within(width, height)
    if inside.is_empty:
        raise ImageError(
            path,
            f"the box lies outside the picture of {width} x {height} pixels; mend the box, or, where the "
            "files are crops already, take the columns of boxes out of the table",
        )
    if inside != box:
        raise ImageError(path, f"the box reaches over the edge of {width} x {height} pixels; end it there")
    return rgb[box.y0 : box.y1, box.x0 : box.x1].copy()


def _of_slide(file: str, box: Box | None, path: str | Path) -> np.ndarray:
    slide = open_slide(file)
    if box is None:
        raise ImageError(path, "a whole slide; its cells are found by wbc predict fields=true")
    if box.is_empty or box.within(slide.width, slide.height) != box:
        raise ImageError(
            path,
            f"the box is empty or reaches over the slide of {slide.width} x {slide.height} pixels; mend it",
        )
    return slide.region(box)


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe that nobody writes into at once, instead of waiting for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _opened(file: BinaryIO, path: str | Path) -> np.ndarray:
    try:
        with Image.open(file, formats=_FORMATS) as image:
            if image.format in ("JPEG", "MPO"):
                refuse_jpeg(image, file, path)
            return _pixels(image, path, file)
    except Image.UnidentifiedImageError as problem:
        if file.seek(0, io.SEEK_END) == 0:
            raise ImageError(path, "the file is empty; copy it again from its origin") from problem
        raise ImageError(
            path,
            f"no JPEG, PNG, BMP, TIFF or WebP image, or one of an unusual kind; copy it again, or {RESAVE}",
        ) from problem


def _pixels(image: Image.Image, path: str | Path, file: BinaryIO | None = None) -> np.ndarray:
    refuse_by_header(image, path)
    tiles = getattr(image, "tile", [])  # how each part is stored; none in an image made in memory
    is_deep_colour = len(image.getbands()) > 1 and any("16" in str(tile[3]) for tile in tiles)
    # load() before anything else: it fails on truncated data, which later steps would hide.
    image.load()
    if is_deep_colour and max(high for _, high in image.getextrema()[:3]) < _DARK:  # type: ignore[misc]
        shallow: Image.Image = _deep_colour(image, file, path)
    else:
        shallow = _deep_grey(image, path)
    return np.asarray(_rgb(ImageOps.exif_transpose(shallow), path))


def resize(rgb: np.ndarray, size_px: int) -> np.ndarray:
    """Squashes (H, W, 3) uint8 to (size_px, size_px, 3) uint8, whatever the shape, as Keras's loader does.

    A side that shrinks is averaged over areas, without which fine granules turn into moire; a side that
    grows is interpolated linearly, Keras's default: cubic would ring at the edge of a dark nucleus.
    """
    height, width = rgb.shape[:2]
    small = cv2.resize(rgb, (min(width, size_px), min(height, size_px)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (size_px, size_px), interpolation=cv2.INTER_LINEAR)


def pixel_hash(rgb: np.ndarray) -> str:
    """32 hexadecimal digits that are equal for two pictures of equal shape and pixels, and only for them."""
    digest = hashlib.blake2b(repr(rgb.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(rgb).data)
    return digest.hexdigest()


def _deep_grey(image: Image.Image, path: str | Path) -> Image.Image:
    """16-bit grey as 8-bit grey; any other image as it is."""
    if not image.mode.startswith("I"):  # "I;16", "I;16B", and in older Pillow "I" for a 16-bit grey PNG
        return image
    samples = np.asarray(image)
    if samples.min() < 0 or samples.max() > 65535:
        raise ImageError(path, f"samples outside 0..65535; {RESAVE}")
    grey = Image.fromarray(eight_bit(samples, _announced(image)))
    if image.format == "TIFF" and tag(image, _PHOTOMETRIC, 1) == 0:
        grey = ImageOps.invert(grey)  # Pillow does so by itself at 8 bits only
    return _turned_as(image, grey)


def _deep_colour(image: Image.Image, file: BinaryIO | None, path: str | Path) -> Image.Image:
    """16-bit colour of which Pillow, that keeps the high byte alone, has left next to nothing."""
    deep = None
    if file is not None:
        file.seek(0)
        deep = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if deep is None or deep.dtype != np.uint16 or deep.shape != (image.height, image.width, 3):
        raise ImageError(path, f"16-bit colour that uses few of the bits; {RESAVE}")
    return _turned_as(image, Image.fromarray(eight_bit(deep[..., ::-1], _announced(image))))


def _announced(image: Image.Image) -> int | None:
    """The largest sample that a TIFF file says there could be; None where it says nothing."""
    if image.format != "TIFF":
        return None
    values = tag(image, _MAX_SAMPLE, None)
    return max(values) if isinstance(values, tuple) else values


def _turned_as(image: Image.Image, made: Image.Image) -> Image.Image:
    """`made`, to be turned upright as `image` would be."""
    made.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
    return made


def _rgb(image: Image.Image, path: str | Path) -> Image.Image:
    """Any 8-bit mode as RGB, transparency laid over white."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema() == (0, 0):
        raise ImageError(path, "wholly transparent, so nothing is to be seen; save it without alpha channel")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
