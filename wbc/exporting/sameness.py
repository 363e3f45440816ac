"""Whether an exported folder answers as the model that it was made of, by running what it holds."""

from __future__ import annotations

import csv
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wbc.answers.predictor import Predictor
from wbc.answers.rule import AnswerRule
from wbc.errors import ConfigError
from wbc.plain.answers import Answers
from wbc.plain.prediction_rows import (
    FRONT,
    PREDICTION,
    SET_SEPARATOR,
    columns,
    number_columns,
    prediction_rows,
)
from wbc.plain.words import FittedWords

log = logging.getLogger(__name__)

BOUND = 1e-4  # of a probability, absolute


class Differences(NamedTuple):
    """Of so many images.  others: path of each of which class, set or status is another, and what both say.

    on_the_edge: how many more are another, but lie so near to a limit that the last digits decide.
    probability_gap: the largest, those of words too.  words: how many were compared; which of them an image
    answers, and the class that they tell, count as parts of its answer.
    """

    images: int
    others: list[tuple[str, str, str]]
    on_the_edge: int
    probability_gap: float
    words: int = 0


def differences(
    answers: Answers,
    rule: AnswerRule | None,
    classes: Sequence[str],
    paths: list[str],
    folder: Path,
    words: FittedWords | None = None,
) -> Differences:
    """Between `answers` to the files at `paths` and those of the exported `folder`, where nothing changes.

    rule, words: that made the answers, and know the limits.
    """
    log.info("answering %d images by the exported model", len(paths))
    rows = _rows_of(folder, paths)
    after = PREDICTION + 1 + answers.probabilities.shape[1]
    found = np.array([row[PREDICTION + 1 : after] for row in rows], dtype=float)
    said = [" / ".join((row[PREDICTION], row[after], row[after + 1])) for row in rows]
    sets = (SET_SEPARATOR.join(names) for names in answers.sets)
    expected = [" / ".join(one) for one in zip(answers.labels, sets, answers.status, strict=True)]
    edge = on_the_edge(answers, rule, classes)
    gap = float(np.abs(found - answers.probabilities).max())
    if words is not None:
        told = _told_words(rows, after, answers, words)
        said = [f"{one} / {two}" for one, two in zip(said, told.said, strict=True)]
        expected = [f"{one} / {two}" for one, two in zip(expected, told.expected, strict=True)]
        edge |= told.on_the_edge
        gap = max(gap, told.gap)
    differ = [place for place in range(len(paths)) if said[place] != expected[place]]
    return Differences(
        len(paths),
        [(paths[place], said[place], expected[place]) for place in differ if not edge[place]],
        sum(bool(edge[place]) for place in differ),
        gap,
        0 if words is None else len(paths) * len(words.names),
    )


class _Told(NamedTuple):
    """Words of N images by the exported model and by this one, as text; the largest difference of their
    probabilities; and (N,) bool which lie so near to a limit that it could turn them.
    """

    said: list[str]
    expected: list[str]
    gap: float
    on_the_edge: np.ndarray


def _told_words(rows: list[list[str]], after: int, answers: Answers, words: FittedWords) -> _Told:
    before, count = len(columns(())), len(columns((), words.names))
    first = after + before - len(FRONT)
    numbers = sorted(place - before for place in number_columns((), words.names) if place >= before)
    values = [place - 1 for place in numbers]  # a word, or the class by the words; beside it its probability
    expected = [row[first:] for row in prediction_rows(answers, [""] * len(rows))]
    said = [row[first : first + count - before] for row in rows]
    ours, theirs = (np.array([[float(row[n]) for n in numbers] for row in one]) for one in (expected, said))
    limits = np.append(words.thresholds, np.inf)
    near = (np.abs(ours - limits) <= BOUND) | (np.abs(ours - 0.5) <= BOUND)
    return _Told(
        [" ".join(row[place] for place in values) for row in said],
        [" ".join(row[place] for place in values) for row in expected],
        float(np.abs(ours - theirs).max()),
        near.any(axis=1),
    )


def on_the_edge(answers: Answers, rule: AnswerRule | None, classes: Sequence[str]) -> np.ndarray:
    """(N,) bool: which of N answers a difference of BOUND could turn.

    Limits are the values of single validation images, and these lie exactly on them.
    """
    ordered = np.sort(answers.probabilities.astype(np.float64), axis=1)
    near = ordered[:, -1] - ordered[:, -2] <= 2 * BOUND
    if rule is None:
        return np.asarray(near)
    near |= np.abs(ordered[:, -1] - rule.threshold) <= BOUND
    of_superclasses = rule.hierarchy(classes).ladder(answers.probabilities).probabilities[:, 1:]
    # Differences of the classes of a superclass add up.
    near |= (np.abs(of_superclasses - rule.threshold) <= BOUND * len(classes)).any(axis=1)
    near |= (np.abs(1 - ordered - rule.set_limit) <= BOUND).any(axis=1)
    outlying = np.abs(answers.scores - rule.outlier_threshold)
    return np.asarray(near | (outlying <= BOUND * max(1.0, abs(rule.outlier_threshold))))


def compared(predictor: Predictor, paths: list[str], folder: Path) -> dict[str, Any]:
    """Figures of the comparison of both on the files at `paths`.

    Raises ConfigError where they are not the same: class, set and status, but for those on the edge, and
    probabilities within BOUND.
    """
    _, answers, _ = predictor.answer_files(paths, 32, None, "by this model")
    found = differences(answers, predictor.rule, predictor.classes, paths, folder, predictor.words)
    if found.others or not found.probability_gap <= BOUND:
        first = "".join(
            f" of {path} it says {said}, this one {this};" for path, said, this in found.others[:1]
        )
        raise ConfigError(
            f"the exported model does not answer {len(found.others)} of {found.images} images as this one "
            f"does:{first} probabilities differ by up to {found.probability_gap:.2g}, and {BOUND:g} is "
            "allowed. Nothing was exported: give another format="
        )
    return {
        "images": found.images,
        "on_the_edge": found.on_the_edge,
        "probability_gap": found.probability_gap,
        "probability_bound": BOUND,
    } | ({"words_compared": found.words} if found.words else {})


def _rows_of(folder: Path, paths: list[str]) -> list[list[str]]:
    """What classify.py in `folder` writes, in a process of its own."""
    listed, table = folder.with_name(".compared.txt"), folder.with_name(".compared.csv")
    try:
        listed.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
        alone = [sys.executable, "-B", "-E", "-s"]  # no variable of Python's, nothing of the user's own
        command = [*alone, "classify.py", "--list", str(listed), "--table", str(table)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigError(f"the exported model failed: {done.stderr.strip()[-500:]}")
        with table.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))[1:]
    finally:
        listed.unlink(missing_ok=True)
        table.unlink(missing_ok=True)
