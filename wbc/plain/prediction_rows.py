"""Rows of predictions: one list of columns, whoever writes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wbc.plain.answers import Answers

DATA, PATH, GROUP, LABEL, PREDICTION = range(5)  # the columns before those of the classes
FRONT = ("data", "path", "group", "label", "prediction")
_BACK = ("set", "status", "score", "cell_found")
SET_SEPARATOR = " | "
_FOUND = {True: "yes", False: "no", None: ""}


def columns(classes: Sequence[str]) -> list[str]:
    """data: the set or split; path; group; label: the true class; prediction; the calibrated probability of
    each class; set: the classes that it could be; status; outlier score; cell_found.

    "" stands where nothing is known: no group, no label, a model that looks for no cell.
    """
    return [*FRONT, *classes, *_BACK]


def status_column(classes: Sequence[str]) -> int:
    """Where the status stands; a class may have its name."""
    return len(FRONT) + len(classes) + _BACK.index("status")


def prediction_rows(
    answers: Answers,
    paths: Sequence[str],
    groups: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    data: str = "",
) -> Iterator[list[str]]:
    """A row for each of N answers to the images at `paths`, as `columns` has them."""
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
        ]
