"""What is answered for an image: class, calibrated probability, prediction set, and how far to believe it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from wbc.hierarchy import Hierarchy
from wbc.plain.known_cells import LikeThese
from wbc.plain.outlier_scores import outlier_scores
from wbc.plain.prediction_sets import prediction_sets
from wbc.plain.words import CellWords, FittedWords

ANSWERED, UNCERTAIN, UNKNOWN = "answered", "uncertain", "not a known cell"
UNREADABLE = "unreadable"  # with the reason behind it
AS_SUPERCLASS = "answered as "  # with the superclass behind it: the class itself is uncertain
NOT_CALIBRATED = "not calibrated"  # said by a network that has no rule, such as a training checkpoint


def superclass_of(status: str) -> str:
    """The superclass that is answered; "" where the class is, or nothing."""
    return status.removeprefix(AS_SUPERCLASS) if status.startswith(AS_SUPERCLASS) else ""


class Answers(NamedTuple):
    """N answers: labels; probabilities (N, C) float32; sets of classes; status, one of the above; scores
    (N,) float64 of outliers, NaN where nothing was fitted; cell_found, whether the picture was
    brought to the standard view or, for want of a cell, taken as it is; None where the model has none;
    words, the attributes of each cell and what they say of its class; and like_these, the known cells that it
    is like, which `Predictor.predict` alone tells.  The last two are empty where the model has none, and None
    for an image that cannot be read.
    """

    labels: list[str]
    probabilities: np.ndarray
    sets: list[list[str]]
    status: list[str]
    scores: np.ndarray
    cell_found: list[bool | None]
    words: Sequence[CellWords | None] = ()
    like_these: Sequence[LikeThese | None] = ()


@dataclass(frozen=True)
class FittedRule:
    """The numbers of a rule of answers, which `wbc.answers.rule` fits and explains.

    outlier_arrays: what the outlier score of `outlier_method` needs.  superclasses: as `Hierarchy`
    takes them.
    """

    temperature: float
    threshold: float
    set_limit: float
    outlier_method: str
    outlier_arrays: Mapping[str, np.ndarray]
    outlier_threshold: float
    superclasses: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def answer(self, features: np.ndarray, logits: np.ndarray, classes: Sequence[str]) -> Answers:
        """Of features (N, D) and logits (N, C)."""
        probabilities = softmax(logits.astype(np.float64) / self.temperature, axis=1)
        scores = outlier_scores(self.outlier_method, self.outlier_arrays, features, logits)
        sets = prediction_sets(probabilities, self.set_limit)
        return Answers(
            [classes[index] for index in probabilities.argmax(axis=1)],
            probabilities.astype(np.float32),
            [[name for name, inside in zip(classes, row, strict=True) if inside] for row in sets],
            [
                UNKNOWN if odd else status
                for odd, status in zip(
                    scores > self.outlier_threshold, self._levels(probabilities, classes), strict=True
                )
            ],
            scores,
            [None] * len(scores),
        )

    def _levels(self, probabilities: np.ndarray, classes: Sequence[str]) -> list[str]:
        """How far down the answers go, as statuses: to the class, to a superclass, or not at all."""
        hierarchy = Hierarchy(self.superclasses, classes)
        nodes, confidences = hierarchy.ladder(probabilities)
        sure = confidences >= self.threshold
        smallest = sure.argmax(axis=1)  # of the nodes that are sure; 0 where none is
        statuses = [*[ANSWERED] * len(classes), *(f"{AS_SUPERCLASS}{name}" for name in hierarchy.names)]
        return [
            statuses[nodes[row, place]] if sure[row, place] else UNCERTAIN
            for row, place in enumerate(smallest)
        ]


def uncalibrated(logits: np.ndarray, classes: Sequence[str]) -> Answers:
    """What a network without a rule can say: the plain softmax of logits (N, C)."""
    probabilities = softmax(logits.astype(np.float32), axis=1)
    labels = [classes[index] for index in probabilities.argmax(axis=1)]
    return Answers(
        labels,
        probabilities,
        [[label] for label in labels],
        [NOT_CALIBRATED] * len(labels),
        np.full(len(labels), math.nan),
        [None] * len(labels),
    )


def no_answers(classes: int) -> Answers:
    """The answers for no image at all."""
    return Answers([], np.empty((0, classes), np.float32), [], [], np.empty(0), [])


def described(
    answers: Answers, words: FittedWords | None, features: np.ndarray, classes: Sequence[str]
) -> Answers:
    """Answers for N cells with their words, of features (N, D); as they are for a model without words.

    Of what is no known cell, or no crop of one, no attribute is answered.
    """
    if words is None:
        return answers
    targets = [classes.index(label) for label in answers.labels]
    spoken = [status in (ANSWERED, UNCERTAIN) or superclass_of(status) != "" for status in answers.status]
    return answers._replace(words=words.describe(features, targets, spoken, classes))


def joined(parts: Sequence[Answers]) -> Answers:
    """Answers of several batches as one."""
    return Answers(
        [label for part in parts for label in part.labels],
        np.concatenate([part.probabilities for part in parts]),
        [classes for part in parts for classes in part.sets],
        [status for part in parts for status in part.status],
        np.concatenate([part.scores for part in parts]),
        [found for part in parts for found in part.cell_found],
        [words for part in parts for words in part.words],
        [alike for part in parts for alike in part.like_these],
    )


def with_unreadable(answers: Answers, reasons: Sequence[str]) -> Answers:
    """Answers for N images of which `answers` has those without a reason why they cannot be read."""
    if not any(reasons):
        return answers
    of_read = iter(range(len(answers.labels)))
    rows = [None if reason else next(of_read) for reason in reasons]
    nothing = np.full(answers.probabilities.shape[1], math.nan, np.float32)
    return Answers(
        ["" if row is None else answers.labels[row] for row in rows],
        np.stack([nothing if row is None else answers.probabilities[row] for row in rows]),
        [[] if row is None else answers.sets[row] for row in rows],
        [
            f"{UNREADABLE}: {reason}" if row is None else answers.status[row]
            for row, reason in zip(rows, reasons, strict=True)
        ],
        np.array([math.nan if row is None else answers.scores[row] for row in rows]),
        [None if row is None else answers.cell_found[row] for row in rows],
        [None if row is None else answers.words[row] for row in rows] if answers.words else (),
        [None if row is None else answers.like_these[row] for row in rows] if answers.like_these else (),
    )
