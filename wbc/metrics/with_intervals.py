"""All that is said of a labelled set: its metrics, how calibrated they are, and 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from wbc.metrics.calibration import brier_score, expected_calibration_error
from wbc.metrics.classification import checked_scores, classification_metrics, one_vs_rest_average_precision
from wbc.metrics.intervals import Interval, bootstrap_interval, exact_interval, mean_interval
from wbc.metrics.resampled import Statistic, row_statistics

_RESAMPLES = 1000


def measured_set(
    probabilities: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    groups: ArrayLike | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The record of `classification_metrics`, `metrics` where it was made before, and with it:

    `ece` and `brier`; `average_precision` in each class's row, None where its AUROC is None;
    `intervals`, a {"low", "high"} for accuracy, macro_recall, macro_precision, macro_f1, cohen_kappa,
    macro_auroc, ece and brier, and under `recall` one for each class; `resampled`, "groups" or "images".

    probabilities (N, C); labels (N,); groups (N,) names, "" for an image that belongs to no group.  Where
    any has a name, groups are drawn; else images.  Without groups the interval of a class's recall is exact
    (Clopper & Pearson); with them its images' groups are drawn.

    All come from the same 1,000 resamples, AUROC included; that of the ECE is `mirrored`.  A resample is
    measured as a set of its own: macro averages run over the classes that occur in it.  Limits are None
    where the metric is, where there is one group alone, and where a resample leaves the metric undefined.
    Raises ValueError as `checked_scores` does, and for groups that are not as many as the images.
    """
    metrics = metrics or classification_metrics(probabilities, labels, classes)
    probabilities, labels = checked_scores(probabilities, labels, classes)
    units = drawn_units(groups, len(labels))
    precisions = one_vs_rest_average_precision(probabilities, labels)
    per_class = {
        name: {**metrics["per_class"][name], "average_precision": None if one is None else round(one, 6)}
        for name, one in zip(classes, precisions, strict=True)
    }
    intervals = {
        metric: _resampled(metric, statistic, len(labels), units)
        for metric, statistic in row_statistics(probabilities, labels).items()
    }
    return {
        **metrics,
        "per_class": per_class,
        "ece": round(expected_calibration_error(probabilities, labels), 6),
        "brier": round(brier_score(probabilities, labels), 6),
        "intervals": intervals | {"recall": _recalls(probabilities, labels, classes, units)},
        "resampled": "images" if units is None else "groups",
    }


def measured_calibration(
    probabilities: Tensor, labels: Tensor, groups: ArrayLike | None = None
) -> dict[str, Any]:
    """`ece`, `brier` and `ece_interval` of probabilities (N, C), as `measured_set` has them."""
    units = drawn_units(groups, len(labels))
    statistic = row_statistics(probabilities, labels)["ece"]
    return {
        "ece": round(expected_calibration_error(probabilities, labels), 6),
        "brier": round(brier_score(probabilities, labels), 6),
        "ece_interval": _resampled("ece", statistic, len(labels), units),
    }


def _resampled(
    metric: str, statistic: Statistic, rows: int, units: np.ndarray | None
) -> dict[str, float | None]:
    interval = bootstrap_interval(rows, statistic, units, _RESAMPLES)
    return _limits(mirrored(interval) if metric == "ece" else interval)


def mirrored(interval: Interval) -> Interval:
    """The basic bootstrap interval (Davison & Hinkley 1997, eq. 5.6), for a number that noise only enlarges.

    A resample adds its noise to that of the set, so that the percentiles of an ECE lie too high, above the
    ECE itself where that is small; mirrored about it they lie as much too low as it is too high.
    """
    estimate, low, high = interval
    if math.isnan(low):
        return interval
    return Interval(estimate, max(0.0, 2 * estimate - high), max(estimate, 2 * estimate - low))


def drawn_units(groups: ArrayLike | None, rows: int) -> np.ndarray | None:
    """What is drawn anew in a bootstrap, as numbers (rows,): equal for images of one group, different for
    those of none; None where no image has a group.

    Raises ValueError for groups (N,) that are not as many as the rows.
    """
    names = np.full(rows, "") if groups is None else np.asarray(groups).astype(str)
    if names.shape != (rows,):
        raise ValueError(f"groups have shape {names.shape} beside {rows} images: expected one an image")
    grouped = names != ""
    if not grouped.any():
        return None
    _, numbers = np.unique(names, return_inverse=True)
    return np.where(grouped, numbers, -1 - np.arange(rows))


def _recalls(
    probabilities: Tensor, labels: Tensor, classes: Sequence[str], units: np.ndarray | None
) -> dict[str, Any]:
    right = (probabilities.argmax(dim=1) == labels).numpy()
    found: dict[str, Any] = {}
    for index, name in enumerate(classes):
        found[name] = share_limits(right, (labels == index).numpy(), units)
    return found


def share_limits(right: np.ndarray, among: np.ndarray, units: np.ndarray | None) -> dict[str, float | None]:
    """The 95 % interval of a share: exact (Clopper & Pearson), or with `drawn_units` a bootstrap over them.

    right (N,) bool, counted among those that (N,) bool tells.  None where there are none, and for one unit.
    """
    counted = right[among]
    if len(counted) == 0:
        return {"low": None, "high": None}
    if units is None:
        return _limits(exact_interval(int(counted.sum()), len(counted)))
    return _limits(mean_interval(counted, units[among], _RESAMPLES))


def _limits(interval: Interval) -> dict[str, float | None]:
    if math.isnan(interval.low):
        return {"low": None, "high": None}
    return {"low": round(interval.low, 6), "high": round(interval.high, 6)}
