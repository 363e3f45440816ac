"""What an image file's header alone shows to be unusable, refused before a pixel is decoded.

A file of some kilobytes can announce gigabytes, or keep a decoder busy for minutes.
Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from wbc.errors import ImageError

# A cropped cell has about 0.1 million pixels, a whole camera field 20.  Below the size at which Pillow starts
# to warn by itself.
MAX_PIXELS = 80_000_000
RESAVE = "save it again as 8-bit RGB (PNG, or TIFF with interleaved samples)"

_START_OF_SCAN = b"\xff\xda"  # ISO/IEC 10918-1; in coded data a byte 0 follows every ff
_MOST_PX_A_BYTE = 1000  # of JPEG; one block of 64 pixels takes a bit at least, and most pictures many
_MOST_SCANS = 100  # encoders write ten or so, and previews in the header have some more
# TIFF 6.0 tags
_BITS_PER_SAMPLE, _STRIPS, _SAMPLES, _ROWS_PER_STRIP, _PLANAR = 258, 273, 277, 278, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES = 322, 323, 324
_LARGE_TILE_PX = 1024  # a side; writers take 256 or 512, whatever the picture's size


def refuse_by_header(image: Image.Image, path: str | Path) -> None:
    """Raises ImageError for an opened image that is too large, of several pages, or of unusual samples."""
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
        _refuse_tiff(image, path)
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise ImageError(path, f"floating-point, signed or 32-bit samples; {RESAVE}")


def refuse_jpeg(image: Image.Image, file: BinaryIO, path: str | Path) -> None:
    """Raises ImageError for a JPEG file of endless scans, and for one too short for the size it announces.

    Each scan of a progressive JPEG passes over the whole picture; a small file can hold thousands.
    """
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    scans = content.count(_START_OF_SCAN)
    if scans > _MOST_SCANS:
        raise ImageError(path, f"{scans:,} scans, more than the {_MOST_SCANS} accepted; {RESAVE}")
    if image.width * image.height > _MOST_PX_A_BYTE * len(content):
        # libjpeg would make the rest grey.
        raise ImageError(
            path,
            f"damaged ({image.width} x {image.height} pixels in {len(content):,} bytes); copy it again from "
            "its origin",
        )


def tag(image: Image.Image, number: int, default: Any) -> Any:
    """A tag of an open TIFF file."""
    return image.tag_v2.get(number, default)  # type: ignore[attr-defined]


def _refuse_tiff(image: Image.Image, path: str | Path) -> None:
    bits = tag(image, _BITS_PER_SAMPLE, (1,))
    if not set(bits) <= {1, 2, 4, 8, 16}:
        raise ImageError(path, f"{'/'.join(map(str, bits))} bits a sample; {RESAVE}")
    planar = tag(image, _PLANAR, 1) == 2
    if 16 in bits and len(bits) > 1 and planar:
        # Pillow reads these without complaint and wrongly.
        raise ImageError(path, f"16 bits a sample in separate planes; {RESAVE}")
    width, height = image.tag_v2.get(256, 0), image.tag_v2.get(257, 0)  # type: ignore[attr-defined]
    planes = tag(image, _SAMPLES, 1) if planar else 1
    if _TILES in image.tag_v2:  # type: ignore[attr-defined]
        across, down = tag(image, _TILE_WIDTH, 0), tag(image, _TILE_HEIGHT, 0)
        _refuse_tiles(across, down, width, height, path)
        here, needed = tag(image, _TILES, ()), math.ceil(width / across) * math.ceil(height / down)
    else:
        rows = min(tag(image, _ROWS_PER_STRIP, height), height)
        here, needed = tag(image, _STRIPS, ()), math.ceil(height / max(rows, 1))
    if len(here) != needed * planes:
        # Pillow would leave the rest black.
        raise ImageError(
            path, f"damaged (parts of the picture: {len(here)} of {needed * planes}); copy it again"
        )


def _refuse_tiles(across: int, down: int, width: int, height: int, path: str | Path) -> None:
    """A decoder makes room for a whole tile, however small the picture."""
    for tile, side in ((across, width), (down, height)):
        if not 0 < tile <= max(_LARGE_TILE_PX, side + 16):  # TIFF 6.0: multiples of 16
            raise ImageError(
                path, f"damaged (tiles of {across} x {down} in {width} x {height} pixels); copy it again"
            )


def _has_a_second_page(image: Image.Image) -> bool:
    """Asked by going there: counting the pages of a TIFF file follows a chain of any length."""
    here = image.tell()
    try:
        image.seek(here + 1)
    except EOFError:
        return False
    image.seek(here)
    return True
