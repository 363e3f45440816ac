"""When to keep silent: the confidence from which on answers are wrong no more often than promised."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import beta

LEVEL = 0.95  # probability, over validation sets drawn anew, with which the promise holds
_STARTS = (0.9, 0.5)  # shares of the images that are answered first
_START_LEVEL = 1 - (1 - LEVEL) / len(_STARTS)  # Bonferroni: either start may fail
_LARGER = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)  # errors that are proposed where less cannot be promised
_STEPS = 50  # coverages that are tried from each start


def error_upper_bound(errors: int, answered: int, level: float) -> float:
    """The error rate that is not exceeded at `level`, one-sided (Clopper & Pearson); 1 for no answers."""
    if errors >= answered:
        return 1.0
    return float(beta.ppf(level, errors + 1, answered - errors))


def fewest_images(max_error: float) -> int:
    """How many answers, all right, it takes to promise `max_error`."""
    return math.ceil(math.log(1 - _START_LEVEL) / math.log(1 - max_error))


def confidence_threshold(confidences: np.ndarray, right: np.ndarray, max_error: float) -> float:
    """The lowest confidence from which on the error rate's upper bound stays within `max_error`.

    Taking the best of many thresholds would break the bound; it holds when coverages fixed beforehand are
    tried from a strict one on, up to the first that fails (fixed-sequence testing, Angelopoulos 2021).  The
    strictest answers nine tenths of the images; if that fails, half, or as many as a promise takes where
    that is more.  Of fewer answers a promise allows fewer errors, and one confident error, a wrong label
    perhaps, would decide.

    confidences: (N,).  right: (N,) bool.  Images of one confidence are answered together or not at all.
    Returns infinity where not even the first can be promised.
    """
    if len(confidences) != len(right):
        raise ValueError(f"{len(confidences)} confidences beside {len(right)} outcomes: expected as many")
    total, fewest = len(right), fewest_images(max_error)
    if total < fewest:
        return math.inf
    order = np.argsort(-confidences, kind="stable")
    ordered, errors = confidences[order], np.cumsum(~right[order].astype(bool))
    for start in _STARTS:
        threshold = math.inf
        for count in np.unique(np.linspace(max(fewest, start * total), total, _STEPS).astype(int)):
            lowest = ordered[count - 1]
            answered = int(np.searchsorted(-ordered, -lowest, side="right"))  # with those of equal confidence
            if error_upper_bound(int(errors[answered - 1]), answered, _START_LEVEL) > max_error:
                break
            threshold = float(lowest)
        if threshold < math.inf:
            return threshold
    return math.inf


def why_nothing_is_answered(confidences: np.ndarray, right: np.ndarray, max_error: float) -> str:
    """Why `confidence_threshold` of the same is infinite, and what would help."""
    total, wrong, fewest = len(right), int((~right.astype(bool)).sum()), fewest_images(max_error)
    error = f"{100 * max_error:g} %"
    if total < fewest:
        reason = (
            f"{total} images, {wrong} of them wrong, are too few to promise at most {error} of wrong answers"
        )
        more = f"it takes {fewest}, all of them right"
    else:
        reason = f"{wrong} of {total} images are wrong; no confidence keeps errors under {error}"
        more = "add images"
    larger = (one for one in _LARGER if one > max_error)
    enough = next((one for one in larger if confidence_threshold(confidences, right, one) < math.inf), None)
    mend = "" if enough is None else f", or set abstain.max_error={enough:g}, which these images can promise"
    return f"{reason}: {more}{mend}"
