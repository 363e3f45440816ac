"""95 % bootstrap intervals: how far a number could have come out otherwise with other cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

_QUANTILES = (0.025, 0.975)


class Interval(NamedTuple):
    """A number measured on all rows, and the limits of its 95 % interval."""

    estimate: float
    low: float
    high: float


def bootstrap_interval(
    rows: int,
    statistic: Callable[[np.ndarray], float],
    groups: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of `statistic`, which takes the numbers of the rows to measure (Efron 1979).

    With groups, whole groups are drawn (cluster bootstrap, Field & Welsh 2007): cells of one smear share
    stain and patient, and drawn singly they would make the interval too narrow.

    statistic: int64 row numbers in [0, rows), with repetitions, to a number; where it gives NaN for a
    resample, the limits are NaN.  groups: (rows,), one value a group.
    No rows give NaN throughout; a single row or group gives its estimate and NaN limits, since it says
    nothing about others. Raises ValueError for groups that are not as many as the rows.
    """
    if rows == 0:
        return Interval(math.nan, math.nan, math.nan)
    names = np.arange(rows) if groups is None else np.asarray(groups)
    if names.shape != (rows,):
        raise ValueError(f"groups have shape {names.shape} beside {rows} rows: expected one group a row")
    estimate = float(statistic(np.arange(rows)))
    _, group_of, sizes = np.unique(names, return_inverse=True, return_counts=True)
    if len(sizes) == 1:
        return Interval(estimate, math.nan, math.nan)
    members = np.argsort(group_of, kind="stable")  # rows, group by group
    starts = np.cumsum(sizes) - sizes  # where each group's rows begin in it
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        drawn = rng.integers(len(sizes), size=len(sizes))
        begins = np.cumsum(sizes[drawn]) - sizes[drawn]  # where its rows are to begin among those drawn
        offsets = np.repeat(starts[drawn] - begins, sizes[drawn])
        values.append(statistic(members[offsets + np.arange(len(offsets))]))
    low, high = np.quantile(values, _QUANTILES)
    return Interval(estimate, float(low), float(high))


def mean_interval(
    values: ArrayLike, groups: ArrayLike | None = None, resamples: int = 2000, seed: int = 0
) -> Interval:
    """The mean with its interval, as `bootstrap_interval` draws it.

    values: (N,); NaN means not measured, and is left out beforehand with its group.  groups: (N,).
    """
    measured = np.asarray(values, dtype=np.float64)
    there = ~np.isnan(measured)
    measured = measured[there]
    if groups is not None:
        groups = np.asarray(groups)[there]
    return bootstrap_interval(len(measured), lambda rows: measured[rows].mean(), groups, resamples, seed)


def exact_interval(successes: int, trials: int) -> Interval:
    """A share with its two-sided 95 % interval (Clopper & Pearson 1934); NaN in 0 to 1 for no trials."""
    if trials == 0:
        return Interval(math.nan, 0.0, 1.0)
    limits = binomtest(successes, trials).proportion_ci(0.95, method="exact")
    return Interval(successes / trials, float(limits.low), float(limits.high))
