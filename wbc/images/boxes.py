"""Boxes: crops that are not files of their own, but places in a photograph of the smear.

A crop is named as text, so that every table, cache and page can hold it where it holds a path:
`field.jpg#xywh=40,25,80,90` is the box of 80 x 90 pixels whose left upper corner is 40 pixels from the left
edge and 25 from the upper one (W3C Media Fragments URI 1.0, 4.2.2).  A file of that very name wins.

Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_NAME = re.compile(r"(.+)#xywh=(-?\d+),(-?\d+),(-?\d+),(-?\d+)", re.DOTALL | re.ASCII)


class Box(NamedTuple):
    """Whole pixels of the upright photograph, x to the right and y down; x1 and y1 are not of the box."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def is_empty(self) -> bool:
        """Whether there is no pixel in it."""
        return self.x1 <= self.x0 or self.y1 <= self.y0

    def within(self, width: int, height: int) -> Box:
        """What of it lies in a picture of this size; empty where nothing does."""
        return Box(max(self.x0, 0), max(self.y0, 0), min(self.x1, width), min(self.y1, height))

    def moved(self, x: int, y: int) -> Box:
        """The same, `x` to the right and `y` down."""
        return Box(self.x0 + x, self.y0 + y, self.x1 + x, self.y1 + y)

    @property
    def area(self) -> int:
        """In pixels."""
        return max(self.x1 - self.x0, 0) * max(self.y1 - self.y0, 0)


def share_inside(one: Box, other: Box) -> float:
    """Which share of the smaller of two boxes that are not empty lies in the other."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(across, 0) * max(down, 0) / min(one.area, other.area)


def crop_name(photograph: str, box: Box) -> str:
    """The text that stands for the box where a path stands for an image."""
    return f"{photograph}#xywh={box.x0},{box.y0},{box.x1 - box.x0},{box.y1 - box.y0}"


def photograph_and_box(path: str) -> tuple[str, Box | None]:
    """The file to open, and the box in it; None where `path` is an image as a whole."""
    found = _NAME.fullmatch(path)
    if found is None or os.path.lexists(path):
        return path, None
    x, y, width, height = map(int, found.groups()[1:])
    return found[1], Box(x, y, x + width, y + height)


def photograph_of(path: str) -> str:
    """The file to open for an image or a crop."""
    return photograph_and_box(path)[0]
