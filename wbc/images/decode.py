"""Image files as labs have them, turned into one kind of array: 8-bit RGB, upright, of one size.

Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import PIL
from PIL import Image, ImageOps

from wbc.errors import FileError

# Lower case; to be compared without case.
SUFFIXES = (".bmp", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# A cropped cell has about 0.1 million pixels, a whole camera field 20. Refused from the header: a file of
# some kilobytes can announce gigabytes. Below the size at which Pillow starts to warn by itself.
MAX_PIXELS = 80_000_000

# What decoded pixels depend on; raise the number whenever `decode` gives other pixels than before.
DECODER = f"1/pillow-{PIL.__version__}"

# A phone on a microscope writes a JPEG with a preview behind it, which Pillow then calls MPO.
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR = 258, 262, 284  # TIFF 6.0 tags
_START_OF_SCAN = b"\xff\xda"  # ISO/IEC 10918-1; in coded data a byte 0 follows every ff
_MOST_SCANS = 100  # encoders write ten or so, and previews in the header have some more
_RESAVE = "save it again as 8-bit RGB (PNG, or TIFF with interleaved samples)"


class ImageError(FileError):
    """A file that cannot be used as an image."""


def decode(source: str | Path | bytes | Image.Image) -> np.ndarray:
    """A picture as a viewer shows it: (H, W, 3) uint8 RGB.

    source: the path of a file, what such a file holds, or an image that Pillow has opened.
    16-bit samples are taken to 8 bits linearly by their high byte, without stretching (as libpng does), so
    that brightness stays comparable between files. Transparency is laid over white, the empty field of a
    bright-field microscope. EXIF and TIFF rotation is applied, colour profiles are not, as in Keras.
    Raises ImageError for a file that is missing, empty, damaged, no regular file, no image, too large, holds
    several pages, or samples that have no one meaning as colour (floating point, 32-bit, 12-bit).
    """
    path = source if isinstance(source, str | Path) else "an image in memory"
    try:
        if isinstance(source, Image.Image):
            return _pixels(source, path)
        if isinstance(source, bytes):
            return _opened(io.BytesIO(source), path)
        # An open file, not its path: given a path, Pillow 13 maps uncompressed grey TIFF files into memory
        # and then scrambles those with a rotation of 90 degrees.
        with open(source, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError(path, "a pipe or a device, not a regular file; copy the picture into a file")
            return _opened(file, path)
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


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe that nobody writes into at once, instead of waiting for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _opened(file: BinaryIO, path: str | Path) -> np.ndarray:
    try:
        with Image.open(file, formats=_FORMATS) as image:
            if image.format in ("JPEG", "MPO"):
                _refuse_endless_scans(file, path)
            return _pixels(image, path)
    except Image.UnidentifiedImageError as problem:
        if file.seek(0, io.SEEK_END) == 0:
            raise ImageError(path, "the file is empty; copy it again from its origin") from problem
        raise ImageError(
            path,
            f"no JPEG, PNG, BMP, TIFF or WebP image, or one of an unusual kind; copy it again, or {_RESAVE}",
        ) from problem


def _pixels(image: Image.Image, path: str | Path) -> np.ndarray:
    _refuse_unfit(image, path)
    # load() before anything else: it fails on truncated data, which later steps would hide.
    image.load()
    white_is_zero = image.format == "TIFF" and _tag(image, _PHOTOMETRIC, 1) == 0
    upright = ImageOps.exif_transpose(image)
    return np.asarray(_rgb(_eight_bit(upright, white_is_zero, path), path))


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


def examine(path: str) -> tuple[str, str]:
    """Decodes one file; returns its pixel hash and "", or "" and why it cannot be used."""
    try:
        return pixel_hash(decode(path)), ""
    except ImageError as problem:
        return "", problem.reason


def _refuse_unfit(image: Image.Image, path: str | Path) -> None:
    """Raises ImageError for what the header alone shows to be unusable; no pixel is decoded yet."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            path, f"{width} x {height} pixels, more than the {MAX_PIXELS:,} accepted; crop it to single cells"
        )
    if image.format != "MPO" and _has_a_second_page(image):
        raise ImageError(
            path, "holds several pages and nothing says which is meant; save each page as a file of its own"
        )
    if image.format == "TIFF":
        bits = _tag(image, _BITS_PER_SAMPLE, (1,))
        if not set(bits) <= {1, 2, 4, 8, 16}:
            raise ImageError(path, f"{'/'.join(map(str, bits))} bits a sample; {_RESAVE}")
        if 16 in bits and len(bits) > 1 and _tag(image, _PLANAR, 1) == 2:
            # Pillow reads these without complaint and wrongly.
            raise ImageError(path, f"16 bits a sample in separate planes; {_RESAVE}")
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise ImageError(path, f"floating-point, signed or 32-bit samples; {_RESAVE}")


def _has_a_second_page(image: Image.Image) -> bool:
    """Asked by going there: counting the pages of a TIFF file follows a chain of any length."""
    here = image.tell()
    try:
        image.seek(here + 1)
    except EOFError:
        return False
    image.seek(here)
    return True


def _refuse_endless_scans(file: BinaryIO, path: str | Path) -> None:
    """Each scan of a progressive JPEG passes over the whole picture; a small file can hold thousands."""
    place = file.tell()
    file.seek(0)
    scans = file.read().count(_START_OF_SCAN)
    file.seek(place)
    if scans > _MOST_SCANS:
        raise ImageError(path, f"{scans:,} scans, more than the {_MOST_SCANS} accepted; {_RESAVE}")


def _eight_bit(image: Image.Image, white_is_zero: bool, path: str | Path) -> Image.Image:
    """16-bit grey as 8-bit grey; Pillow has already done so for 16-bit colour."""
    if not image.mode.startswith("I"):  # "I;16", "I;16B", and in older Pillow "I" for a 16-bit grey PNG
        return image
    samples = np.asarray(image)
    if samples.min() < 0 or samples.max() > 65535:
        raise ImageError(path, f"samples outside 0..65535; {_RESAVE}")
    grey = Image.fromarray((samples >> 8).astype(np.uint8))
    return ImageOps.invert(grey) if white_is_zero else grey  # Pillow does so by itself at 8 bits only


def _rgb(image: Image.Image, path: str | Path) -> Image.Image:
    """Any 8-bit mode as RGB, transparency laid over white."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema() == (0, 0):
        raise ImageError(path, "wholly transparent, so nothing is to be seen; save it without alpha channel")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")


def _tag(image: Image.Image, number: int, default: Any) -> Any:
    """A tag of an open TIFF file."""
    return image.tag_v2.get(number, default)  # type: ignore[attr-defined]
