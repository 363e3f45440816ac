import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from wbc.metrics.intervals import Interval, bootstrap_interval, mean_interval

VALUES = np.random.default_rng(3).gamma(2.0, 1.0, 120)


def test_single_rows_give_scipys_percentile_interval():
    low, high = stats.bootstrap(
        (VALUES,), np.mean, n_resamples=20_000, method="percentile", random_state=1
    ).confidence_interval
    interval = mean_interval(VALUES)
    assert interval.estimate == pytest.approx(VALUES.mean())
    # The limits of 2,000 resamples scatter by about 5 % of a standard error.
    close = 0.2 * VALUES.std() / math.sqrt(len(VALUES))
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=close)


def test_copies_in_a_group_count_once():
    copies, groups = np.repeat(VALUES, 5), np.repeat(np.arange(120), 5)
    assert mean_interval(copies, groups) == pytest.approx(mean_interval(VALUES))
    alone = mean_interval(copies)
    grouped = mean_interval(copies, groups)
    assert grouped.high - grouped.low == pytest.approx(math.sqrt(5) * (alone.high - alone.low), rel=0.1)


def test_every_resample_is_made_of_whole_groups():
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    sizes = {"a": 2, "b": 3, "c": 1}
    seen = []

    def statistic(rows):
        seen.append(rows)
        return 0.0

    bootstrap_interval(6, statistic, groups, resamples=200)
    assert np.array_equal(seen[0], np.arange(6))  # the estimate
    drawn = set()
    for rows in seen[1:]:
        times = np.bincount(rows, minlength=6)
        per_group = {name: set(times[groups == name]) for name in sizes}
        assert all(len(counts) == 1 for counts in per_group.values())
        counts = {name: counts.pop() for name, counts in per_group.items()}
        assert sum(counts.values()) == 3
        drawn.add(tuple(counts.values()))
    assert len(drawn) == 10  # all ways to draw three of three groups


def test_groups_of_different_size_weigh_by_their_rows():
    """Two groups give 0, 3/4 and 1, each mean with its known chance."""
    means = []

    def statistic(rows):
        means.append(np.array([0.0, 1.0, 1.0, 1.0])[rows].mean())
        return means[-1]

    assert bootstrap_interval(4, statistic, [7, 2, 2, 2]) == (0.75, 0.0, 1.0)
    values, counts = np.unique(means[1:], return_counts=True)
    assert values.tolist() == [0.0, 0.75, 1.0]
    assert counts / 2000 == pytest.approx([0.25, 0.5, 0.25], abs=0.04)


def test_a_score_of_rows():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    predictions = np.where(rng.random(300) < 0.8, labels, rng.integers(0, 3, 300))

    def macro_f1(rows):
        return f1_score(labels[rows], predictions[rows], average="macro")

    interval = bootstrap_interval(300, macro_f1, resamples=200)
    assert interval.estimate == f1_score(labels, predictions, average="macro")
    assert interval.low < interval.estimate < interval.high
    # F1 varies about as a share of its size would.
    width = 2 * 1.96 * math.sqrt(interval.estimate * (1 - interval.estimate) / 300)
    assert interval.high - interval.low == pytest.approx(width, rel=0.3)


def test_the_seed_decides():
    assert mean_interval(VALUES, seed=4) == mean_interval(VALUES, seed=4)
    assert mean_interval(VALUES, seed=4) != mean_interval(VALUES, seed=5)


def test_what_was_not_measured_is_left_out_with_its_group():
    values = np.array([1.0, np.nan, 3.0, 5.0, np.nan])
    assert mean_interval(values) == mean_interval([1.0, 3.0, 5.0])
    assert mean_interval(values, list("aabbc")) == mean_interval([1.0, 3.0, 5.0], list("abb"))


@pytest.mark.parametrize(
    ("values", "groups", "estimate"),
    [([], None, math.nan), ([math.nan], None, math.nan), ([2.0], None, 2.0), ([2.0, 4.0], ["a", "a"], 3.0)],
)
def test_one_group_or_none_has_no_interval(values, groups, estimate):
    expected = Interval(estimate, math.nan, math.nan)
    assert mean_interval(values, groups) == pytest.approx(expected, nan_ok=True)


def test_a_statistic_that_is_undefined_for_a_resample_gives_no_limits():
    interval = bootstrap_interval(3, lambda rows: 1.0 if 0 in rows else math.nan)
    assert interval == pytest.approx((1.0, math.nan, math.nan), nan_ok=True)


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="beside 3 rows"):
        bootstrap_interval(3, len, [1, 2])
