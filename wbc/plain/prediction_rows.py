"""Rows of predictions: one list of columns, whoever writes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wbc.plain.answers import Answers
from wbc.plain.words import CellWords

DATA, PATH, GROUP, LABEL, PREDICTION = range(5)  # the columns before those of the classes
FRONT = ("data", "path", "group", "label", "prediction")
_BACK = ("set", "status", "score", "cell_found")
SET_SEPARATOR = " | "
_FOUND = {True: "yes", False: "no", None: ""}
_TOLD = ("words_for", "words_against", "words_class", "words_class_probability")
_WORD, _PROBABILITY = "word_", "_probability"  # around the name of an attribute: a class may have it too
NUMBERS = ("score", _TOLD[-1])  # columns of numbers beside those of classes and of attributes' probabilities


def columns(classes: Sequence[str], attributes: Sequence[str] = ()) -> list[str]:
    """data: the set or split; path; group; label: the true class; prediction; the calibrated probability of
    each class; set: the classes that it could be; status; outlier score; cell_found.

    Of a model with words, more for each of its attributes: word_<attribute>, its value where it is answered,
    and word_<attribute>_probability, of its most probable value; then words_for and words_against the class,
    and the class by the words alone with its probability.
    "" stands where nothing is known: no group, no label, a model that looks for no cell, no answer.
    """
    words = [f"{_WORD}{name}{after}" for name in attributes for after in ("", _PROBABILITY)]
    return [*FRONT, *classes, *_BACK, *words, *(_TOLD if attributes else ())]


def number_columns(classes: Sequence[str], attributes: Sequence[str] = ()) -> set[int]:
    """Which of `columns` hold numbers; a class may have the name of another column."""
    first = len(FRONT) + len(classes)
    after = columns(classes, attributes)[first:]
    words = {f"{_WORD}{name}{_PROBABILITY}" for name in attributes}
    told = {first + place for place, name in enumerate(after) if name in words or name in NUMBERS}
    return {*range(len(FRONT), first), *told}


def status_column(classes: Sequence[str]) -> int:
    """Where the status stands; a class may have its name."""
    return len(FRONT) + len(classes) + _BACK.index("status")


def prediction_rows(
    answers: Answers,
    paths: Sequence[str],
    groups: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    data: str = "",
    attributes: Sequence[str] = (),
) -> Iterator[list[str]]:
    """A row for each of N answers to the images at `paths`, as `columns` has them.

    attributes: those of a model with words, needed where an image cannot be read: "" stands for its words.
    """
    untold = [""] * (len(columns((), attributes)) - len(columns(())))
    for row, path in enumerate(paths):
        yield [
            data,
            path,
            "" if groups is None else groups[row],
            "" if labels is None else labels[row],
            answers.labels[row],
            *(f"{value:.6g}" for value in answers.probabilities[row]),
            SET_SEPARATOR.join(answers.sets[row]),
            answers.status[row],
            f"{answers.scores[row]:.6g}",
            _FOUND[answers.cell_found[row]],
            *(_words(answers.words[row], untold) if answers.words else untold),
        ]


def silence(row: list[str], classes: Sequence[str]) -> None:
    """Take out of a row what it says in words, where it does; probabilities and the class by words stay."""
    first = len(columns(classes))
    if len(row) <= first:  # of a model without words, or of an image that cannot be read
        return
    last = len(row) - len(_TOLD)
    for place in (*range(first, last, 2), last, last + 1):  # values, and what speaks for and against
        row[place] = ""


def _words(cell: CellWords | None, untold: list[str]) -> list[str]:
    if cell is None:
        return untold
    told = []
    for word in cell.words:
        told += [word.value if word.answered else "", f"{word.probability:.6g}"]
    speaking = (SET_SEPARATOR.join(map(str, words)) for words in (cell.speak_for, cell.speak_against))
    return [*told, *speaking, cell.told_class, f"{cell.told_probability:.6g}"]
