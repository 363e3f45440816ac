"""Prediction sets: the limit against numpy's quantile, the coverage by simulation."""

import numpy as np
import pytest
import torch

from wbc.answers.conformal import conformal_limit
from wbc.plain.prediction_sets import prediction_sets


def sampled(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = (1.5 * torch.randn(count, 4, generator=generator)).softmax(dim=1)
    labels = torch.multinomial(truth, 1, generator=generator)[:, 0]
    return (truth.log() * 2).softmax(dim=1), labels  # overconfident, as networks are


@pytest.mark.parametrize(("count", "coverage"), [(100, 0.9), (99, 0.9), (37, 0.95), (999, 0.99)])
def test_the_limit_is_the_quantile_that_mapie_takes(count: int, coverage: float) -> None:
    probabilities, labels = sampled(count, 0)
    scores = 1 - probabilities.double().numpy()[np.arange(count), labels.numpy()]
    level = np.ceil((count + 1) * coverage) / count
    expected = np.quantile(scores, level, method="inverted_cdf")
    assert conformal_limit(probabilities, labels, coverage) == expected


def test_too_few_images_let_every_class_in() -> None:
    probabilities, labels = sampled(50, 0)
    limit = conformal_limit(probabilities, labels, 0.99)
    assert limit == 1
    assert prediction_sets(probabilities.numpy(), limit).all()


def test_the_promised_coverage_holds_and_hardly_more() -> None:
    found, plain = [], []
    for seed in range(200):
        probabilities, labels = sampled(600, seed)
        limit = conformal_limit(probabilities[:300], labels[:300], 0.9)
        rest, true = probabilities[300:], labels[300:]
        found.append(prediction_sets(rest.numpy(), limit)[np.arange(300), true.numpy()].mean())
        plain.append((1 - rest.double() <= limit)[torch.arange(300), true].double().mean().item())
    error = np.std(plain) / np.sqrt(200)
    assert 0.9 - 3 * error < np.mean(plain) < 0.9 + 1 / 301 + 3 * error  # Vovk 2005
    assert np.mean(found) >= np.mean(plain)


def test_no_set_is_empty() -> None:
    sets = prediction_sets(np.array([[0.4, 0.35, 0.25], [0.98, 0.01, 0.01]]), 0.1)
    assert sets.tolist() == [[True, False, False], [True, False, False]]
