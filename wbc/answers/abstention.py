"""When to keep silent: the confidence from which on answers are wrong no more often than promised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import beta

LEVEL = 0.95  # probability, over validation sets drawn anew, with which the promise holds
_STARTS = (0.9, 0.5)  # shares of the images that are answered first
_START_LEVEL = 1 - (1 - LEVEL) / len(_STARTS)  # Bonferroni: either start may fail
# Promised instead of an error that cannot be: the smallest of these that can.  None is larger: of a model of
# which three answers in ten may be wrong a person should look at every cell.
ERRORS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3)
_BEYOND = (0.4, 0.5)  # are proposed only
_STEPS = 50  # coverages that are tried from each start


class Promise(NamedTuple):
    """At most `max_error` of the answers from a confidence of `threshold` on are wrong.  Infinite: none.

    Where an answer may be a superclass, that holds of the answered classes, and of all answers together.
    """

    max_error: float
    threshold: float


def error_upper_bound(errors: int, answered: int, level: float) -> float:
    """The error rate that is not exceeded at `level`, one-sided (Clopper & Pearson); 1 for no answers."""
    if errors >= answered:
        return 1.0
    return float(beta.ppf(level, errors + 1, answered - errors))


def fewest_images(max_error: float) -> int:
    """How many answers, all right, it takes to promise `max_error`."""
    return math.ceil(math.log(1 - _START_LEVEL) / math.log(1 - max_error))


def best_promise(confidences: np.ndarray, right: np.ndarray, max_error: float) -> Promise:
    """`max_error`, or where the images cannot promise it the smallest of `ERRORS` above it that they can.

    Taking the best of many errors and thresholds would break the bound.  It holds with the probability
    `LEVEL` for whatever is returned, because errors and coverages are tried in an order fixed beforehand, up
    to the first that fails (fixed-sequence testing, Angelopoulos 2021): from the largest error down to
    `max_error`, each at the strictest coverage; then, at `max_error`, from the strictest coverage on.  So
    what was asked for is promised of as many images as `confidence_threshold` says, and no image is lost to
    the errors that are tried before; a larger error is promised of the strictest coverage only.  There is
    such a sequence from each start, at a level that lets either fail (Bonferroni); the smaller error counts.

    confidences: (N,).  right: (N,) bool.  The threshold is infinite, and the error `max_error`, where not
    even the largest can be promised.

    Both may be (N, L): in column 0 of the class, then of its superclasses, whose confidences do not fall
    along a row.  The first that reaches the threshold is answered.  Coverages are still shares of images of
    which the class is answered.  Each step then tests two errors, of these alone and of all answers, and
    fails where either does; so both hold together with the same probability, without a correction
    (intersection-union test, Berger 1982).
    """
    ordered = _Ordered(confidences, right)
    errors = [*(one for one in reversed(ERRORS) if one > max_error), max_error]
    found = [_from_start(ordered, errors, start) for start in _STARTS]
    kept = [one for one in found if one.threshold < math.inf]
    return min(kept, key=lambda one: one.max_error, default=Promise(max_error, math.inf))


def confidence_threshold(confidences: np.ndarray, right: np.ndarray, max_error: float) -> float:
    """The lowest confidence from which on the error rate's upper bound stays within `max_error`.

    Coverages fixed beforehand are tried from a strict one on, up to the first that fails.  The strictest
    answers nine tenths of the images; if that fails, half, or as many as a promise takes where that is more.
    Of fewer answers a promise allows fewer errors, and one confident error, a wrong label perhaps, would
    decide.

    confidences: (N,).  right: (N,) bool; or both (N, L), as for `best_promise`.  Images of one confidence are
    answered together or not at all.  Returns infinity where not even the first can be promised.
    """
    ordered = _Ordered(confidences, right)
    found = (_from_start(ordered, [max_error], start).threshold for start in _STARTS)
    return next((threshold for threshold in found if threshold < math.inf), math.inf)


class _Ordered:
    """Confidences (N,), the highest first, and how many of those up to each are wrong.

    above: those of superclasses (N, L - 1) in the same order, and which are right.
    """

    def __init__(self, confidences: np.ndarray, right: np.ndarray) -> None:
        if len(confidences) != len(right):
            raise ValueError(f"{len(confidences)} confidences beside {len(right)} outcomes: expected as many")
        confidences, right = _by_level(confidences), _by_level(right)
        order = np.argsort(-confidences[:, 0], kind="stable")
        self.confidences = confidences[order, 0]
        self.wrong = np.cumsum(~right[order, 0].astype(bool))
        self.above = confidences[order, 1:], right[order, 1:].astype(bool)

    def confidence_of(self, count: int) -> float:
        """The lowest of the `count` highest."""
        return float(self.confidences[count - 1])

    def keeps(self, count: int, max_error: float) -> bool:
        """Whether answering the `count` most confident, with those of equal confidence, is within it; and
        with the superclasses that are as confident, too.
        """
        answered = int(np.searchsorted(-self.confidences, -self.confidence_of(count), side="right"))
        wrong = int(self.wrong[answered - 1])
        more, more_wrong = self._by_superclass(answered, self.confidence_of(count))
        return all(
            error_upper_bound(errors, answers, _START_LEVEL) <= max_error
            for errors, answers in ((wrong, answered), (wrong + more_wrong, answered + more))
        )

    def _by_superclass(self, first: int, threshold: float) -> tuple[int, int]:
        """How many of the images from `first` on are answered by a superclass; how many of those wrongly."""
        confidences, right = (values[first:] for values in self.above)
        sure = confidences >= threshold
        smallest = sure & (np.cumsum(sure, axis=1) == 1)
        return int(smallest.sum()), int((smallest & ~right).sum())


def _by_level(values: np.ndarray) -> np.ndarray:
    """(N,) of classes alone, or (N, L) with their superclasses, as (N, L)."""
    return values[:, None] if values.ndim == 1 else values


def _from_start(ordered: _Ordered, errors: Sequence[float], start: float) -> Promise:
    """The last promise that is kept, of `errors` in their order, then of coverages for the last of them."""
    total = len(ordered.confidences)
    kept = Promise(errors[-1], math.inf)
    for error in errors:
        strictest = max(fewest_images(error), start * total)
        if strictest > total or not ordered.keeps(int(strictest), error):
            return kept
        kept = Promise(error, ordered.confidence_of(int(strictest)))
    for count in np.unique(np.linspace(strictest, total, _STEPS).astype(int)):
        if not ordered.keeps(count, errors[-1]):
            break
        kept = Promise(errors[-1], ordered.confidence_of(count))
    return kept


def why_nothing_is_answered(confidences: np.ndarray, right: np.ndarray, max_error: float) -> str:
    """Why the threshold of `best_promise` of the same is infinite, and what would help."""
    total, fewest = len(right), fewest_images(max_error)
    wrong = int((~_by_level(right)[:, 0].astype(bool)).sum())
    error = f"{100 * max_error:g} %"
    if total < fewest:
        reason = (
            f"{total} images, {wrong} of them wrong, are too few to promise at most {error} of wrong answers"
        )
        more = f"it takes {fewest}, all of them right"
    else:
        reason = f"{wrong} of {total} images are wrong; no confidence keeps errors under {error}"
        more = "add images"
    larger = (one for one in _BEYOND if one > max_error)
    enough = next((one for one in larger if confidence_threshold(confidences, right, one) < math.inf), None)
    if max_error < ERRORS[-1]:
        reason += f" (nor can they promise {100 * ERRORS[-1]:g} %)"
    mend = "" if enough is None else f", or set abstain.max_error={enough:g}, which these images can promise"
    return f"{reason}: {more}{mend}"
