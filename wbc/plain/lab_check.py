"""Whether pictures are of a lab like that of the validation images: nothing is promised of others.

One picture tells little; all of a job together tell whether they are of another world.  How far each lies
from known cells is ranked among the validation images that were given the same class, so that it does not
matter how common a class is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wbc.plain.answers import ANSWERED, UNCERTAIN, Answers, superclass_of
from wbc.plain.outlier_scores import neighbour_distances

ELSEWHERE = "promise not valid here"  # the status of what would be answered in the model's own lab

# Of few images a class the fifth nearest is often of another class, and new pictures, which have one more
# to be near to, would look too familiar.
_NEIGHBOUR = 2
_MOST = 500  # validation images that are kept, sampled
_FEW = 5  # validation images of a class; with fewer, a rank is taken among those of all classes
_LEVEL = 1.645  # standard errors: 95 %, one-sided
_LIMIT = 0.75  # mean rank: above that of other slides of one lab, below those of labs where promises broke


@dataclass(frozen=True)
class LabCheck:
    """M validation images.  bank (M, D) float16: their features at unit length; named (M,) int64: the class
    that each was given, by number; distances (M,) float64: to the second nearest of the others.
    """

    bank: np.ndarray
    named: np.ndarray
    distances: np.ndarray

    def ranks(self, features: np.ndarray, named: np.ndarray) -> np.ndarray:
        """Of N pictures (N,), 0 to 1: the share of validation images of the same class that are less odd.

        features (N, D); named (N,): the class that each was given, by number.
        """
        distances = _distances(features, self.bank)
        found = np.empty(len(features))
        for label in np.unique(named):
            own = self.distances[self.named == label]
            known = np.sort(own if len(own) >= _FEW else self.distances)
            chosen = named == label
            below, up_to = (
                np.searchsorted(known, distances[chosen], side=side) for side in ("left", "right")
            )
            found[chosen] = (below + up_to) / (2 * len(known))  # of equal ones half are less odd
        return found

    def state(self) -> dict[str, Any]:
        """Arrays as tensors can hold them."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray], classes: int) -> LabCheck:
        """The check that `state` came from.  Raises KeyError, TypeError or ValueError for anything else."""
        check = cls(state["bank"], state["named"], state["distances"])
        images = check.bank.shape[:1]
        if (
            check.bank.ndim != 2
            or not len(check.bank)
            or not all(one.shape == images for one in (check.named, check.distances))
        ):
            raise ValueError("lab: its arrays are not of as many images")
        if not all(np.isfinite(values).all() for values in (check.bank, check.distances)):
            raise ValueError("lab holds values that are not finite numbers")
        if check.named.min() < 0 or check.named.max() >= classes:
            raise ValueError("lab names classes that the model does not have")
        return check


def fit_lab_check(features: np.ndarray, named: np.ndarray) -> LabCheck:
    """By features (N, D) of the images that the rule of answers is fitted on, and the classes (N,) given."""
    kept = np.sort(np.random.default_rng(0).permutation(len(features))[:_MOST])
    exact = features[kept].astype(np.float32)
    bank = (exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)).astype(np.float16)
    distances = [
        _distances(exact[place : place + 1], np.delete(bank, place, axis=0)) if len(bank) > 1 else [0.0]
        for place in range(len(bank))
    ]
    return LabCheck(bank, named[kept].astype(np.int64), np.concatenate(distances))


def _distances(features: np.ndarray, bank: np.ndarray) -> np.ndarray:
    return neighbour_distances(features, bank.astype(np.float32), _NEIGHBOUR)


class LabTally:
    """Takes the ranks of a job's pictures as they come; memory holds three numbers.

    validation_images: that ranks are taken among.
    """

    def __init__(self, validation_images: int) -> None:
        self._among = validation_images
        self._images = 0
        self._sum = self._squares = 0.0

    def add(self, ranks: np.ndarray) -> None:
        """Of some pictures (n,), as `LabCheck.ranks`."""
        self._images += len(ranks)
        self._sum += float(ranks.sum())
        self._squares += float((ranks**2).sum())

    def record(self) -> dict[str, Any]:
        """Plain values.  images: how many; rank: their mean, 0.5 in the validation images' own world;
        at_least: what it is at least, at 95 %; limit; elsewhere: whether it is above that.
        """
        if not self._images:
            return {"images": 0, "rank": None, "at_least": None, "limit": _LIMIT, "elsewhere": False}
        rank = self._sum / self._images
        # Of few pictures the spread cannot be told: that of the validation images then, whose ranks are even.
        spread = max(self._squares / self._images - rank**2, 1 / 12 / self._images)
        at_least = rank - _LEVEL * math.sqrt(spread / self._images + 1 / 12 / self._among)
        return {
            "images": self._images,
            "rank": rank,
            "at_least": max(0.0, at_least),
            "limit": _LIMIT,
            "elsewhere": at_least > _LIMIT,
        }


def of_one_lab(
    answers: Answers, features: np.ndarray, check: LabCheck | None, classes: Sequence[str]
) -> tuple[Answers, dict[str, Any] | None]:
    """The answers to all pictures of one lab, of which none counts as answered where it is another's, and no
    attribute; and `LabTally.record`, or None where the model has no such check.

    features (N, D): of the pictures.
    """
    if check is None:
        return answers, None
    tally = LabTally(len(check.bank))
    tally.add(check.ranks(features, numbers(answers, classes)))
    record = tally.record()
    if record["elsewhere"]:
        answers = answers._replace(
            status=[held_back(one) for one in answers.status],
            words=tuple(None if cell is None else cell.silenced for cell in answers.words),
        )
    return answers, record


def numbers(answers: Answers, classes: Sequence[str]) -> np.ndarray:
    """The classes that were given (N,), by number."""
    return np.array([classes.index(label) for label in answers.labels], np.int64)


def held_back(status: str) -> str:
    """The status of a picture from elsewhere."""
    if superclass_of(status):  # the class would not be answered in the model's own lab either
        return UNCERTAIN
    return ELSEWHERE if status == ANSWERED else status


def said_of_lab(record: Mapping[str, Any] | None) -> str:
    """What a reader must know of pictures with this `LabTally.record`; "" where there is nothing."""
    if record is None or not record["elsewhere"]:
        return ""
    return (
        f"The promise is not valid here: these {record['images']:,} pictures are of another lab than the "
        "validation images, or of other cells. They lie further from known cells than "
        f"{100 * record['rank']:.0f} % of the validation images of the same class do, on average; 50 % is "
        "usual. No cell counts as answered. A person should look, or settle the model in by some labelled "
        "cells of this lab: wbc adapt checkpoint=<this model> data=<labelled cells>"
    )
