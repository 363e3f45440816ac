"""The metrics of a set as functions of row numbers, quick enough for a thousand resamples of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from torch import Tensor

from wbc.metrics.calibration import reliability

Statistic = Callable[[np.ndarray], float]  # numbers of the rows to measure, with repetitions, to a number


def row_statistics(probabilities: Tensor, labels: Tensor) -> dict[str, Statistic]:
    """Accuracy, macro averages, kappa, AUROC, ECE and Brier score, by the names they have in a record.

    probabilities (N, C) float64 and labels (N,), as `metrics.checked_scores` leaves them.  Any rows are
    measured as a set of their own: macro averages run over the classes that occur among them.  NaN where
    `classification_metrics` says None.  AUROC and ECE count by ranks and bins that are found once, instead
    of sorting each resample: all eight take about 3 ms on 4,000 images.
    """
    true, scores, count = labels.numpy(), probabilities.numpy(), probabilities.shape[1]
    pairs = true * count + scores.argmax(axis=1)
    squares = np.square(scores - np.eye(count)[true]).sum(axis=1)
    # Ranks among all images once, ties sharing one; a resample then only counts.
    ranks = [np.unique(scores[:, index], return_inverse=True)[1] for index in range(count)]

    def of_confusion(score: Callable[[np.ndarray], float]) -> Statistic:
        return lambda rows: score(np.bincount(pairs[rows], minlength=count**2).reshape(count, count))

    def macro_auroc(rows: np.ndarray) -> float:
        areas = [_auroc(rank[rows], true[rows] == index) for index, rank in enumerate(ranks)]
        defined = [area for area in areas if not math.isnan(area)]
        return sum(defined) / len(defined) if defined else math.nan

    return {
        "accuracy": of_confusion(lambda confusion: np.trace(confusion) / confusion.sum()),
        "macro_recall": of_confusion(lambda confusion: _macro(confusion, recall=1.0)),
        "macro_precision": of_confusion(lambda confusion: _macro(confusion, recall=0.0)),
        "macro_f1": of_confusion(lambda confusion: _macro(confusion, recall=0.5)),
        "cohen_kappa": of_confusion(_kappa),
        "macro_auroc": macro_auroc,
        "ece": _ece(probabilities, labels),
        "brier": lambda rows: squares[rows].mean(),
    }


def _macro(confusion: np.ndarray, recall: float) -> float:
    """Mean over the classes that occur of hits / (recall * true + (1 - recall) * predicted).

    1 gives recall, 0 precision, 0.5 F1 (van Rijsbergen 1979); a class never predicted has precision 0.
    """
    true, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    occurs = true > 0
    hits = np.diagonal(confusion)[occurs]
    out_of = recall * true[occurs] + (1 - recall) * predicted[occurs]
    return float((hits / np.maximum(out_of, 0.5)).mean())  # 0.5: less than any that is not 0


def _kappa(confusion: np.ndarray) -> float:
    """Cohen's kappa; NaN where labels and predictions are all of one class."""
    images = int(confusion.sum())
    chance = int(confusion.sum(axis=0) @ confusion.sum(axis=1))
    if chance == images**2:
        return math.nan
    return (images * int(np.trace(confusion)) - chance) / (images**2 - chance)


def _auroc(ranks: np.ndarray, is_class: np.ndarray) -> float:
    """Share of pairs in which the image of the class ranks higher, ties half; NaN where there is no pair."""
    within = np.bincount(ranks, weights=is_class)
    others = np.bincount(ranks) - within
    pairs = within.sum() * others.sum()
    below = np.cumsum(others) - others
    return float(within @ (below + others / 2) / pairs) if pairs else math.nan


def _ece(probabilities: Tensor, labels: Tensor) -> Statistic:
    # As expected_calibration_error: images * gap of a bin is the sum of its images' gaps.
    confidences, predicted = probabilities.max(dim=1)
    gaps = (confidences - (predicted == labels).double()).numpy()
    bins = np.searchsorted([one.high for one in reliability(probabilities, labels)], confidences.numpy())
    return lambda rows: np.abs(np.bincount(bins[rows], weights=gaps[rows])).sum() / len(rows)
