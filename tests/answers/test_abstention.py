"""The promise of a confidence threshold: bounds against closed forms and scipy, and by simulation."""

import math
import re

import numpy as np
import pytest

from wbc.answers.abstention import (
    ERRORS,
    Promise,
    best_promise,
    confidence_threshold,
    error_upper_bound,
    fewest_images,
    why_nothing_is_answered,
)
from wbc.metrics.intervals import exact_interval


def test_exact_interval_against_published_values() -> None:
    # Clopper-Pearson for 5 of 10 and 0 of 20, as in Brown, Cai & DasGupta 2001 and the rule of three.
    assert exact_interval(5, 10) == pytest.approx((0.5, 0.1871, 0.8129), abs=1e-4)
    assert exact_interval(0, 20) == pytest.approx((0, 0, 1 - 0.025 ** (1 / 20)), abs=1e-9)
    estimate, low, high = exact_interval(0, 0)
    assert math.isnan(estimate)
    assert (low, high) == (0, 1)


@pytest.mark.parametrize(
    ("answered", "bound"), [(1, 0.95), (10, 1 - 0.05**0.1), (299, 1 - 0.05 ** (1 / 299))]
)
def test_bound_without_errors_has_a_closed_form(answered: int, bound: float) -> None:
    assert error_upper_bound(0, answered, 0.95) == pytest.approx(bound)


def test_bounds_at_the_ends() -> None:
    assert error_upper_bound(0, 0, 0.95) == error_upper_bound(3, 3, 0.95) == 1
    assert error_upper_bound(0, 299, 0.95) <= 0.01 < error_upper_bound(0, 298, 0.95)  # the usual figure
    assert fewest_images(0.01) == 368  # for two starts at 97.5 % each
    assert error_upper_bound(0, 368, 0.975) <= 0.01 < error_upper_bound(0, 367, 0.975)


def test_all_right_answers_everything_and_too_few_nothing() -> None:
    confidences = np.linspace(0.5, 1, 368)
    assert confidence_threshold(confidences, np.ones(368, bool), 0.01) == 0.5
    assert confidence_threshold(confidences[1:], np.ones(367, bool), 0.01) == math.inf
    assert confidence_threshold(confidences, np.zeros(368, bool), 0.01) == math.inf


def test_one_confident_error_costs_little() -> None:
    right = np.ones(900, bool)
    right[-1] = False  # the most confident of all
    assert confidence_threshold(np.linspace(0, 1, 900), right, 0.01) == 0


def test_where_nine_tenths_fail_half_is_tried() -> None:
    right = np.ones(900, bool)
    right[:200] = False
    threshold = confidence_threshold(np.arange(900.0), right, 0.01)
    assert 190 <= threshold <= 210


def test_equal_confidences_stand_together() -> None:
    right = np.ones(500, bool)
    right[400:] = False
    assert confidence_threshold(np.ones(500), right, 0.01) == math.inf


def test_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="3 confidences beside 2"):
        confidence_threshold(np.ones(3), np.ones(2, bool), 0.01)


def test_the_promise_is_kept_in_19_of_20_draws() -> None:
    """Errors grow as confidence falls; the true error rate above a threshold is known."""
    rng = np.random.default_rng(0)
    max_error, broken, answering = 0.05, 0, 0
    for _ in range(1000):
        confidences = rng.random(500)
        right = rng.random(500) < 1 - 0.2 * (1 - confidences) ** 2
        threshold = confidence_threshold(confidences, right, max_error)
        if math.isinf(threshold):
            continue
        answering += 1
        true_error = 0.2 / 3 * (1 - threshold) ** 2  # mean of 0.2 (1 - c)^2 over c in [threshold, 1]
        broken += true_error > max_error
    assert answering > 500
    assert broken / 1000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


def test_why_nothing_is_answered_and_what_would_help() -> None:
    """41 cells of which 12 were wrong were told that it takes 36 cells or more."""
    confidences = np.linspace(0.99, 0.5, 41)
    right = np.arange(41) < 29
    said = why_nothing_is_answered(confidences, right, 0.01)
    assert said.startswith(
        "41 images, 12 of them wrong, are too few to promise at most 1 % of wrong answers (nor can they "
        "promise 30 %): it takes 368"
    )
    mixed = np.arange(41) % 10 < 7
    said = why_nothing_is_answered(confidences, mixed, 0.1)
    assert said.startswith(
        "12 of 41 images are wrong; no confidence keeps errors under 10 % (nor can they promise 30 %): add "
        "images, or set "
    )
    proposed = float(re.findall(r"abstain\.max_error=([\d.]+),", said)[0])
    assert confidence_threshold(confidences, mixed, proposed) < math.inf
    assert math.isinf(confidence_threshold(confidences, mixed, 0.1))
    assert "or set" not in why_nothing_is_answered(confidences, mixed & False, 0.1)


def test_what_can_be_kept_is_promised_of_as_many_images_as_before() -> None:
    rng = np.random.default_rng(1)
    kept = 0
    for size in (20, 60, 150, 400, 900):
        for asked in (0.01, 0.05, 0.1, 0.4):
            for wrong in (0.0, 0.02, 0.1):
                confidences = rng.random(size)
                right = rng.random(size) > 2 * wrong * (1 - confidences)
                threshold = confidence_threshold(confidences, right, asked)
                promise = best_promise(confidences, right, asked)
                if math.isinf(threshold):
                    assert math.isinf(promise.threshold) or promise.max_error > asked
                else:
                    assert promise == Promise(asked, threshold)
                    kept += 1
    assert kept > 10


def test_an_error_that_cannot_be_kept_is_replaced_by_the_smallest_that_can() -> None:
    """30 validation images and max_error=0.01: the model answered nothing."""
    confidences = np.linspace(0.5, 1, 30)
    promise = best_promise(confidences, np.ones(30, bool), 0.01)
    assert promise.max_error == 0.125  # which takes 28 right answers: 1 - 0.025 ** (1 / 28) is 12.3 %
    assert (confidences >= promise.threshold).sum() == 28
    assert best_promise(confidences, np.zeros(30, bool), 0.01) == Promise(0.01, math.inf)
    assert best_promise(np.empty(0), np.empty(0, bool), 0.01) == Promise(0.01, math.inf)
    assert best_promise(confidences, np.ones(30, bool), 0.001).max_error == 0.125
    assert max(ERRORS) <= 0.3


@pytest.mark.parametrize("images", [40, 200, 600])
@pytest.mark.parametrize("error", [0.0101, 0.0501, 0.1001, 0.2001])
def test_the_promise_that_is_chosen_is_kept_in_19_of_20_draws(images: int, error: float) -> None:
    """Where it is hardest: confidence tells nothing, and the error lies just above one of those tried."""
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(400):
        promise = best_promise(rng.random(images), rng.random(images) > error, 0.002)
        broken += promise.threshold < math.inf and promise.max_error < error
    assert broken / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_the_promise_that_is_chosen_is_kept_where_errors_grow_as_confidence_falls() -> None:
    rng = np.random.default_rng(0)
    broken, larger = 0, 0
    for _ in range(600):
        confidences = rng.random(150)
        right = rng.random(150) < 1 - 0.3 * (1 - confidences) ** 2
        promise = best_promise(confidences, right, 0.01)
        if promise.threshold < math.inf:
            larger += promise.max_error > 0.01
            broken += 0.1 * (1 - promise.threshold) ** 2 > promise.max_error
    assert larger > 500
    assert broken / 600 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)
