"""The known cells that a cell is like, in words: columns of explanations.csv, and a strip of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wbc.heat.known_strip import KnownStrip, ShownCell
from wbc.plain.answers import UNKNOWN
from wbc.plain.known_cells import KnownCell, LikeThese
from wbc.plain.picture_check import SEVERAL_CELLS, SWAPPED
from wbc.plain.prediction_rows import SET_SEPARATOR
from wbc.plain.words import CellWords

COLUMNS = ("like", "like_next")
_FAR = {
    UNKNOWN: "but far",
    SEVERAL_CELLS: "but this is not one cell",
    SWAPPED: "but red and blue are swapped",
}
_WORDS = 4  # of a known cell, as of a reason


def like_columns(like: LikeThese, words: CellWords | None) -> dict[str, str]:
    """Column -> text: each known cell with its distance and its words."""
    other = "" if like.other is None else f"{like.other.label}: {_told(like.other, words)}"
    return dict(
        zip(COLUMNS, (SET_SEPARATOR.join(_told(cell, words) for cell in like.alike), other), strict=True)
    )


def like_lines(row: Mapping[Any, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a row of explanations.csv tells: a title and the cells below it, for each column that is not
    empty; () of a model without known cells.
    """
    alike, other = (row.get(name, "") for name in COLUMNS)
    titles = (like_title(row["status"], row["predicted"]), "nearest of the next class")
    found = zip(titles, (alike.split(SET_SEPARATOR), [other]), strict=True)
    return tuple((title, tuple(cells)) for title, cells in found if cells[0])


def known_strip(
    like: LikeThese,
    words: CellWords | None,
    status: str,
    picture: Callable[[str], np.ndarray | str],
    with_words: bool,
) -> KnownStrip:
    """What stands below the panel of a cell with this status.

    picture: the small one of a known cell by its name, or why there is none.  with_words: whether
    people named words of any.
    """

    def shown(cell: KnownCell) -> ShownCell:
        name = cell.name.rpartition("/")[2]
        lines = (name, f"{cell.label}, {cell.distance:.2f}")
        return ShownCell(picture(cell.name), lines, first_words(cell, words))

    title = like_title(status) if like.alike else "no cell of its class is known"
    other = None if like.other is None else shown(like.other)
    return KnownStrip((title, "next class"), [shown(cell) for cell in like.alike], other, with_words)


def like_title(status: str, label: str = "its class") -> str:
    """Above the nearest cells of the class, which may be far for all that."""
    return f"nearest of {label}, {_FAR[status]}" if status in _FAR else "like these, by distance"


def _told(cell: KnownCell, words: CellWords | None) -> str:
    said = "".join(f"; {attribute}: {value}" for attribute, value in first_words(cell, words))
    return f"{cell.name} ({cell.distance:.2f}{said})"


def first_words(cell: KnownCell, words: CellWords | None) -> list[tuple[str, str]]:
    """Its first words, as people read them: those of attributes that speak for or against the class of the
    explained cell come before others, in the same order.
    """
    speaking = [] if words is None else [word.attribute for word in (*words.speak_for, *words.speak_against)]
    ordered = sorted(cell.words, key=lambda word: (*speaking, word[0]).index(word[0]))
    return [(attribute.replace("_", " "), value) for attribute, value in ordered[:_WORDS]]
