"""Damaged images: decoded or refused, in little time and memory."""

import functools
import io
import random

import numpy as np
import pytest
from PIL import Image

from tests.helpers.apart import complaints
from tests.helpers.mutations import damaged
from wbc.images.decode import ImageError, decode

pytestmark = pytest.mark.slow

IMAGES = 500  # of each format
LIMIT_S, LIMIT_GIB = 10, 1.5  # what MAX_PIXELS may take, which a header can announce

KINDS = {
    "BMP": [{}],
    "JPEG": [{}, {"progressive": True}, {"subsampling": 0, "optimize": True}],
    "PNG": [{}, {"optimize": True}],
    "TIFF": [{}, *({"compression": name} for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits"))],
    "WEBP": [{}, {"lossless": True}],
}


@functools.cache
def good(kind: str) -> list[bytes]:
    """One picture in the ways in which programs save it; 16-bit and transparent where that is usual."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    picture = Image.fromarray(pixels).resize((60, 50))
    files = [(picture, options) for options in KINDS[kind]]
    if kind in ("PNG", "TIFF"):
        files += [(picture.convert(mode), {}) for mode in ("L", "RGBA", "P", "I;16")]
    saved = []
    for image, options in files:
        file = io.BytesIO()
        image.save(file, kind, **options)
        saved.append(file.getvalue())
    return saved


def decoded(kind: str, number: int) -> str | None:
    rng = random.Random(f"{kind} {number}")
    try:
        pixels = decode(damaged(rng.choice(good(kind)), rng))
    except ImageError as error:
        return None if str(error) else "no reason"
    right = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    return None if right else f"{pixels.dtype} {pixels.shape}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_image_is_decoded_or_refused(kind):
    found = complaints(functools.partial(decoded, kind), IMAGES, LIMIT_S, LIMIT_GIB)
    assert not found, "\n".join(found)
