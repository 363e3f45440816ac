"""McNemar's test against sums of binomial coefficients."""

import math

import numpy as np
import pytest

from wbc.metrics.mcnemar import McNemar, mcnemar_test


def outcomes(both: int, first: int, second: int, neither: int):
    return tuple(
        np.repeat([True, one, not one, False], [both, first, second, neither]) for one in (True, False)
    )


@pytest.mark.parametrize(
    ("counts", "p"),
    [
        ((5, 0, 0, 2), 1.0),
        ((0, 1, 0, 0), 1.0),
        ((10, 6, 0, 3), 2 / 2**6),
        ((10, 0, 6, 3), 2 / 2**6),
        ((7, 4, 4, 1), 1.0),
        ((0, 2, 8, 0), 2 * (1 + 10 + 45) / 2**10),
        ((900, 10, 25, 65), 2 * sum(math.comb(35, k) for k in range(11)) / 2**35),
    ],
)
def test_p_in_closed_form(counts, p):
    found = mcnemar_test(*outcomes(*counts))
    assert found[:4] == counts
    assert found.p == pytest.approx(p)


def test_the_order_of_the_models_does_not_matter():
    rng = np.random.default_rng(0)
    first, second = rng.random(300) < 0.9, rng.random(300) < 0.8
    one, other = mcnemar_test(first, second), mcnemar_test(second, first)
    assert other == McNemar(one.both_right, one.only_second, one.only_first, one.both_wrong, one.p)
    assert sum(one[:4]) == 300


def test_equal_models_are_called_different_in_no_more_than_one_of_twenty():
    rng = np.random.default_rng(0)
    called = sum(mcnemar_test(*(rng.random((2, 200)) < 0.8)).p <= 0.05 for _ in range(1000))
    assert 10 <= called <= 50 + 3 * math.sqrt(1000 * 0.05 * 0.95)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([True], [True, False], r"\(1,\) and \(2,\)"),
        ([[True]], [[True]], r"\(1, 1\)"),
        ([1, 0], [0, 4], "int64.*expected bool"),
    ],
)
def test_outcomes_that_are_none_are_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        mcnemar_test(first, second)
