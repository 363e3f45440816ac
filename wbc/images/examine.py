"""What the image check reads off one file.

Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

from typing import NamedTuple

from wbc.errors import ImageError
from wbc.images.decode import decode, pixel_hash
from wbc.images.thumbnail import thumbnail


class Examination(NamedTuple):
    """Of a file that decodes, its pixel hash and thumbnail; of another, why it cannot be used; else ""."""

    pixels: str
    reason: str
    thumbnail: bytes


def examine(path: str) -> Examination:
    """Decodes one file."""
    try:
        rgb = decode(path)
    except ImageError as problem:
        return Examination("", problem.reason, b"")
    return Examination(pixel_hash(rgb), "", thumbnail(rgb))
