"""Outlier scores against independent sources, and what their threshold lets pass."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from torchmetrics.functional.classification import binary_auroc

from wbc.answers.outliers import (
    METHODS,
    OutlierScore,
    acceptance_threshold,
    fit,
    held_out_scores,
    outlier_score_from_state,
)

WIDTH, CLASSES = 40, 4


def cells(count: int, seed: int, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features that vary along a few directions around a centre a class, as a network's do."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    directions = torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(99))
    features = 4 * torch.eye(WIDTH)[labels] + 0.15 * torch.randn(count, 8, generator=generator) @ directions
    features = features + 0.2 * torch.randn(count, WIDTH, generator=generator)
    features[:, -1] += shift
    return features, 2 * features[:, :CLASSES], labels


def test_energy_is_the_negative_logsumexp() -> None:
    features, logits, labels = cells(50, 0)
    found = fit("energy", features, logits, labels).score(features, logits)
    np.testing.assert_allclose(found, -logsumexp(logits.double().numpy(), axis=1))


def test_knn_is_the_distance_to_the_fifth_at_unit_length() -> None:
    bank, logits, labels = cells(100, 0)
    new, new_logits, _ = cells(20, 1)
    unit = [values / np.linalg.norm(values, axis=1, keepdims=True) for values in (new.numpy(), bank.numpy())]
    expected = np.sort(cdist(*unit), axis=1)[:, 4]
    np.testing.assert_allclose(fit("knn", bank, logits, labels).score(new, new_logits), expected, atol=1e-5)


def test_mahalanobis_is_scipys_with_the_shrunk_covariance() -> None:
    from sklearn.covariance import LedoitWolf

    features, logits, labels = cells(400, 0)
    new, new_logits, _ = cells(20, 1)
    means = np.stack([features[labels == label].double().mean(dim=0).numpy() for label in range(CLASSES)])
    within = features.double().numpy() - means[labels.numpy()]
    covariance = LedoitWolf(assume_centered=True).fit(within).covariance_
    expected = (
        cdist(new.double().numpy(), means, "mahalanobis", VI=np.linalg.inv(covariance)).min(axis=1) ** 2
    )
    found = fit("mahalanobis", features, logits, labels).score(new, new_logits)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_vim_is_energy_plus_the_scaled_length_of_the_residual() -> None:
    features, logits, labels = cells(400, 0)
    new, new_logits, _ = cells(20, 1)
    centred = features.double().numpy() - features.double().numpy().mean(axis=0)
    _, _, directions = np.linalg.svd(centred)  # descending
    rest = directions[WIDTH // 2 :]
    scale = logits.max(dim=1).values.mean().item() / np.linalg.norm(centred @ rest.T, axis=1).mean()
    apart = (new.double().numpy() - features.double().numpy().mean(axis=0)) @ rest.T
    expected = scale * np.linalg.norm(apart, axis=1) - logsumexp(new_logits.double().numpy(), axis=1)
    np.testing.assert_allclose(
        fit("vim", features, logits, labels).score(new, new_logits), expected, rtol=1e-3
    )


@pytest.mark.parametrize("method", ["mahalanobis", "knn", "vim"])
def test_what_differs_in_features_alone_is_found(method: str) -> None:
    score = fit(method, *cells(400, 0))
    inside, outside = (score.score(*cells(300, seed, shift)[:2]) for seed, shift in ((1, 0.0), (2, 5.0)))
    ranks = torch.cat([inside, outside]).argsort().argsort() / 600
    assert binary_auroc(ranks, (torch.arange(600) >= 300).long()) > 0.95


@pytest.mark.parametrize("method", METHODS)
def test_the_threshold_lets_the_promised_share_of_new_images_pass(method: str) -> None:
    known = cells(400, 0)
    threshold = acceptance_threshold(held_out_scores(method, *known), 0.95)
    score = fit(method, *known)
    passed = (score.score(*cells(5000, 1)[:2]) <= threshold).double().mean().item()
    assert passed == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("method", ["knn", "mahalanobis"])
def test_scores_of_the_fitted_images_themselves_would_promise_too_much(method: str) -> None:
    known = cells(60, 0)  # few images, as a small laboratory has
    score = fit(method, *known)
    threshold = acceptance_threshold(score.score(*known[:2]), 0.95)
    assert (score.score(*cells(5000, 1)[:2]) <= threshold).double().mean() < 0.93


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2, 12])
def test_few_images_with_a_constant_feature_give_numbers(method: str, count: int) -> None:
    features, logits, labels = cells(count, 0)
    features[:, 5] = 1.0
    labels[0] = CLASSES - 1  # a class with a single image, perhaps
    scores = [
        held_out_scores(method, features, logits, labels),
        fit(method, features, logits, labels).score(features, logits),
    ]
    assert torch.cat(scores).isfinite().all()
    assert acceptance_threshold(scores[0], 0.95) == scores[0].max()


def test_unknown_methods_and_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="'odin': expected one of"):
        fit("odin", *cells(5, 0))
    with pytest.raises(ValueError, match="'odin'"):
        outlier_score_from_state(OutlierScore("odin").state())
    with pytest.raises(ValueError, match="no images"):
        fit("knn", *(values[:0] for values in cells(5, 0)))
