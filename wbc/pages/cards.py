"""Cells in a grid of cards: a picture each, and below it what is said of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from wbc.pages.html import fragment


@dataclass(frozen=True)
class Card:
    """A picture as `picture` makes it, the image's short name and whole path, and lines of text.

    mark: a word set off before the lines, such as "wrong"; "" for none.
    """

    picture: Markup
    name: str
    path: str
    lines: Sequence[str]
    mark: str = ""


def card_grid(cards: Iterable[Card], small: bool = False) -> Markup:
    """As many cards side by side as there is room for; nothing for no cards.

    small: for square pictures; else for pictures twice as wide as they are high.
    """
    return fragment("cards.html", cards=list(cards), small=small)
