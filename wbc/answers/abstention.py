"""When to keep silent: the confidence from which on answers are wrong no more often than promised."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import beta

LEVEL = 0.95  # probability, over validation sets drawn anew, with which the promise holds
_STARTS = (0.9, 0.5)  # shares of the images that are answered first
_START_LEVEL = 1 - (1 - LEVEL) / len(_STARTS)  # Bonferroni: either start may fail
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
