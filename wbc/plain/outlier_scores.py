"""How far an image is from those of known classes, by what `wbc.answers.outliers` fitted.

Of every method, a higher score is more of an outlier.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import logsumexp

METHODS = ("energy", "mahalanobis", "knn", "vim")

_NEIGHBOUR = 5  # the first is too often a chance; far ones of a rare class are of another


def outlier_scores(
    method: str, arrays: Mapping[str, np.ndarray], features: np.ndarray, logits: np.ndarray
) -> np.ndarray:
    """Of features (N, D) and logits (N, C): (N,) float64.

    energy: -logsumexp(logits) (Liu 2020).  mahalanobis: squared distance to the nearest class mean under
    one shrunk covariance (Lee 2018): `means` (K, D), `precision` (D, D).  knn: distance to the fifth nearest
    validation image, `bank` (M, D), features at unit length (Sun 2022).  vim: energy plus `scale` times the
    length of what the validation images' principal features leave over (Wang 2022), `residual` (D, R), from
    their `centre` (D,), since behind several dense layers features have no point of zero logits.

    With `unknown_weight` (D,) and `unknown_bias` (1,) of `wbc.answers.unknown_kinds`, what that says for an
    unknown cell, `unknown_scale` times, is added.
    """
    scores = _unlike_the_known(method, arrays, features, logits)
    if "unknown_weight" not in arrays:
        return scores
    # Row by row: a product of matrices rounds otherwise for another number of rows.
    said = (_at_unit_length(features).astype(np.float64) * arrays["unknown_weight"]).sum(axis=1)
    return np.asarray(scores + float(arrays["unknown_scale"]) * np.maximum(said + arrays["unknown_bias"], 0))


def _unlike_the_known(
    method: str, arrays: Mapping[str, np.ndarray], features: np.ndarray, logits: np.ndarray
) -> np.ndarray:
    energy = -logsumexp(logits.astype(np.float64), axis=1)
    if method == "energy":
        return np.asarray(energy)
    if method == "knn":
        return neighbour_distances(features, arrays["bank"], _NEIGHBOUR)
    exact = features.astype(np.float64)
    if method == "mahalanobis":
        precision = arrays["precision"].astype(np.float64)
        # A class at a time: all at once would take gigabytes on large batches.
        apart = (exact - mean for mean in arrays["means"].astype(np.float64))
        return np.stack([((one @ precision) * one).sum(axis=1) for one in apart]).min(axis=0)
    left_over = (exact - arrays["centre"].astype(np.float64)) @ arrays["residual"].astype(np.float64)
    return np.asarray(float(arrays["scale"]) * np.linalg.norm(left_over, axis=1) + energy)


def neighbour_distances(features: np.ndarray, bank: np.ndarray, number: int) -> np.ndarray:
    """Of features (N, D), brought to unit length, to the `number`-th nearest of the bank (M, D), or its last.

    By the cosine, whose error in float32 is that of a distance of less than a thousandth.
    """
    rank = min(number, len(bank)) - 1
    return np.sqrt(np.partition(squared_distances(features, bank), rank, axis=1)[:, rank])


def squared_distances(features: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """(N, M) float64: of features (N, D), brought to unit length, to each of the bank (M, D)."""
    return np.maximum(2 - 2 * (_at_unit_length(features) @ bank.T).astype(np.float64), 0)


def _at_unit_length(features: np.ndarray) -> np.ndarray:
    features = features.astype(np.float32)
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12))
