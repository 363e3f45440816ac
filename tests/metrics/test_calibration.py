"""Temperature, calibration error, Brier score and reliability against closed forms and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve

from wbc.answers.temperature import fit_temperature
from wbc.metrics.calibration import brier_score, expected_calibration_error, reliability


def sampled(temperature: float, count: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are too sure by `temperature`, with labels drawn from what they should be."""
    generator = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(count, 5, generator=generator)
    labels = torch.multinomial(honest.softmax(dim=1), 1, generator=generator)[:, 0]
    return honest * temperature, labels


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_was_applied_is_found(temperature: float) -> None:
    logits, labels = sampled(temperature)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.03)
    before, after = (
        expected_calibration_error(values.softmax(dim=1), labels) for values in (logits, logits / found)
    )
    assert after < 0.01
    assert after <= before + 1e-3


@pytest.mark.parametrize("images", [5, 30, 1000])
def test_where_all_are_right_the_probability_is_that_of_the_next_one(images: int) -> None:
    labels = torch.arange(images) % 5
    logits = 10.0 * torch.eye(5)[labels]
    found = fit_temperature(logits, labels)
    probabilities = (logits / found).softmax(dim=1).max(dim=1).values
    assert probabilities.mean().item() == pytest.approx((images + 1) / (images + 2), abs=1e-4)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.empty(0, 5), torch.empty(0, dtype=torch.long), "0 rows"),
        (torch.zeros(3, 5), torch.zeros(2, dtype=torch.long), "3 rows of logits and 2 labels"),
        (torch.full((1, 5), math.nan), torch.zeros(1, dtype=torch.long), "not finite"),
    ],
)
def test_bad_input_is_named(logits: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_temperature(logits, labels)


def test_scores_by_hand() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    labels = torch.tensor([0, 1, 1])
    assert brier_score(probabilities, labels) == pytest.approx((0.02 + 1.62 + 0.32) / 3)
    # Two images at 0.9 of which one is right, and one at 0.6 that is.
    assert expected_calibration_error(probabilities, labels) == pytest.approx((2 * 0.4 + 0.4) / 3, abs=1e-6)


def test_reliability_agrees_with_scikit_learn_and_with_the_error() -> None:
    logits, labels = sampled(2.0, 2000)
    probabilities = logits.softmax(dim=1).double()
    bins = reliability(probabilities, labels)
    confidences, predicted = probabilities.max(dim=1)
    right = (predicted == labels).numpy()
    accuracies, means = calibration_curve(right, confidences.numpy(), n_bins=15)
    np.testing.assert_allclose([one.accuracy for one in bins], accuracies)
    np.testing.assert_allclose([one.confidence for one in bins], means)
    assert sum(one.images for one in bins) == 2000
    gaps = sum(one.images * abs(one.confidence - one.accuracy) for one in bins) / 2000
    assert expected_calibration_error(probabilities, labels) == pytest.approx(gaps, abs=1e-6)
