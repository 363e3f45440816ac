"""The strip below a panel: known cells that the explained one is like, with what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from wbc.heat.lettering import GREY, INK, fitted, font, phrase
from wbc.heat.overlay import Tile, image_tile, paste

SIDE = 117  # of a picture, pixels: four stand below the narrowest panel
_STEP = 125  # from one picture to the next
_TEXT = 11  # pixels
_LINE = 14  # from one line of text to the next
_TITLE = 22  # above the pictures
_WORDS = 4  # of a cell; more are not read
_LEAST_NAME = 30  # of an attribute, pixels: some four letters


@dataclass(frozen=True)
class ShownCell:
    """picture: (SIDE, SIDE, 3) uint8, or why there is none.  lines: name; class with distance.  words: what
    people named of it, attribute and value.
    """

    picture: np.ndarray | str
    lines: tuple[str, str]
    words: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class KnownStrip:
    """titles: above the cells of the answered class, and above the nearest of the next.  with_words: whether
    there is room for words, as in every strip of one model.
    """

    titles: tuple[str, str]
    alike: Sequence[ShownCell]
    other: ShownCell | None
    with_words: bool

    @property
    def height(self) -> int:
        """What it takes, in pixels."""
        return strip_height(self.with_words)

    def draw(self, canvas: Image.Image, left: int, top: int) -> None:
        """Into `canvas`, with its corner at these pixels."""
        pen = ImageDraw.Draw(canvas)
        bold = font(_TEXT, bold=True)
        groups = [(self.titles[0], 0, list(self.alike), 3)]
        if self.other is not None:
            groups.append((self.titles[1], 3, [self.other], 1))
        for title, first, cells, places in groups:
            start = left + first * _STEP
            room = places * _STEP - (_STEP - SIDE)
            pen.text((start, top + _TITLE - 7), fitted(title, bold, room), INK, bold, anchor="ls")
            for place, cell in enumerate(cells):
                self._draw_cell(canvas, pen, cell, start + place * _STEP, top + _TITLE)

    def _draw_cell(
        self, canvas: Image.Image, pen: ImageDraw.ImageDraw, cell: ShownCell, left: int, top: int
    ) -> None:
        if isinstance(cell.picture, str):
            tile = Tile(np.full((SIDE, SIDE, 3), 255, np.uint8), cell.picture)
        else:
            tile = image_tile(cell.picture, SIDE)
        paste(canvas, tile, left, top, _TEXT)
        texts = [(text, INK) for text in cell.lines]
        texts += [(_word(name, value), GREY) for name, value in cell.words[:_WORDS]]
        for number, (text, colour) in enumerate(texts, 1):
            at = (left, top + SIDE + number * _LINE)
            pen.text(at, fitted(text, font(_TEXT), SIDE), colour, font(_TEXT), anchor="ls")


def _word(name: str, value: str) -> str:
    """The value is what differs from cell to cell: the attribute's name gives way, and goes where too little
    of it would be left.
    """
    if SIDE - font(_TEXT).getlength(f": {value}") < min(_LEAST_NAME, font(_TEXT).getlength(name)):
        return value
    return phrase("", name, f": {value}", SIDE, _TEXT)


def strip_height(with_words: bool) -> int:
    """Of every strip, in pixels."""
    return _TITLE + SIDE + (2 + (_WORDS if with_words else 0)) * _LINE + 8
