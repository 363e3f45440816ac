"""Outlier (out-of-distribution) scores, fitted on validation images.

The covariance is shrunk after Ledoit & Wolf 2004, for there are fewer images than features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.covariance import ledoit_wolf
from sklearn.model_selection import KFold
from torch import Tensor

from wbc.answers.unknown_kinds import UnknownKinds, fit_unknown_kinds
from wbc.plain.outlier_scores import METHODS, outlier_scores

_PRINCIPAL = 0.5  # share of the dimensions that ViM's residual leaves out, as 1000 of 2048 in the paper
_FOLDS = 10

# Features (M, D) of cells that are none of the classes, or what was learnt of such before.
Unknown: TypeAlias = "Tensor | UnknownKinds | None"


@dataclass(frozen=True)
class OutlierScore:
    """A fitted method, one of METHODS: its name and the tensors that `wbc.plain.outlier_scores` needs."""

    method: str
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The tensors as numpy has them; nothing is copied."""
        return {name: tensor.numpy() for name, tensor in self.tensors.items()}

    def score(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D), logits (N, C), on the CPU; returns (N,) float64, higher for more of an outlier."""
        return torch.from_numpy(outlier_scores(self.method, self.arrays, features.numpy(), logits.numpy()))

    @property
    def unknown_kinds(self) -> UnknownKinds | None:
        """What it learnt of cells that are none of the classes; None where it was shown none."""
        if "unknown_weight" not in self.tensors:
            return None
        return UnknownKinds(self.tensors["unknown_weight"], self.tensors["unknown_bias"])

    def state(self) -> dict[str, Any]:
        """As a checkpoint may hold it."""
        return {"method": self.method, "tensors": self.tensors}


def outlier_score_from_state(state: dict[str, Any]) -> OutlierScore:
    """What `OutlierScore.state` came from.  Raises KeyError or ValueError for anything else."""
    if state["method"] not in METHODS:
        raise ValueError(f"outlier score {state['method']!r}: expected one of {METHODS}")
    return OutlierScore(state["method"], state["tensors"])


def fit(
    method: str, features: Tensor, logits: Tensor, labels: Tensor, unknown: Unknown = None
) -> OutlierScore:
    """`method` fitted on images of known classes: features (N, D), logits (N, C), labels (N,).

    A class without images is none that anything can be near to.  What is said of unknown kinds weighs as
    much as the known cells' scores scatter.  Raises ValueError for an unknown method and for no images.
    """
    score = _fit_to_known(method, features, logits, labels)
    if unknown is None:
        return score
    kinds = unknown if isinstance(unknown, UnknownKinds) else fit_unknown_kinds(features, unknown)
    scatter = score.score(features, logits).std(correction=0).float()
    tensors = {"unknown_weight": kinds.weight, "unknown_bias": kinds.bias, "unknown_scale": scatter}
    return OutlierScore(method, score.tensors | tensors)


def _fit_to_known(method: str, features: Tensor, logits: Tensor, labels: Tensor) -> OutlierScore:
    if method not in METHODS:
        raise ValueError(f"outlier score {method!r}: expected one of {METHODS}")
    if len(features) == 0:
        raise ValueError("no images to fit the outlier score on")
    if method == "energy":
        return OutlierScore(method)
    if method == "knn":
        return OutlierScore(method, {"bank": F.normalize(features.float())})
    exact = features.double()
    if method == "mahalanobis":
        seen = labels.unique()
        means = torch.stack([exact[labels == label].mean(dim=0) for label in seen])
        within = exact - means[torch.searchsorted(seen, labels)]
        covariance = torch.from_numpy(ledoit_wolf(within.numpy(), assume_centered=True)[0])
        precision = torch.linalg.pinv(covariance, hermitian=True)
        return OutlierScore(method, {"means": means.float(), "precision": precision.float()})
    centre = exact.mean(dim=0)
    _, directions = torch.linalg.eigh((exact - centre).T @ (exact - centre))  # ascending
    # Where there are fewer images than features, all but N - 1 directions hold nothing at all of them.
    kept = int(_PRINCIPAL * min(len(features) - 1, features.shape[1]))
    residual = directions[:, : features.shape[1] - kept]
    length = ((exact - centre) @ residual).norm(dim=1).mean()
    scale = logits.double().amax(dim=1).mean() / length.clamp_min(torch.finfo(torch.float32).eps)
    tensors = {"centre": centre, "residual": residual, "scale": scale}
    return OutlierScore(method, {name: tensor.float() for name, tensor in tensors.items()})


def held_out_scores(
    method: str, features: Tensor, logits: Tensor, labels: Tensor, unknown: Unknown = None
) -> Tensor:
    """Each image's score (N,) by a fit on the other nine tenths.

    What is fitted on an image finds it too familiar: it would be its own nearest neighbour.
    """
    if len(features) < 2:
        return fit(method, features, logits, labels, unknown).score(features, logits)
    scores = torch.empty(len(features), dtype=torch.float64)
    for kept, left in KFold(min(_FOLDS, len(features)), shuffle=True, random_state=0).split(
        np.arange(len(features))
    ):
        inside, outside = torch.from_numpy(kept), torch.from_numpy(left)
        fitted = fit(method, features[inside], logits[inside], labels[inside], unknown)
        scores[outside] = fitted.score(features[outside], logits[outside])
    return scores


def acceptance_threshold(scores: Tensor, share: float) -> float:
    """The score which new images of the same kind do not exceed with probability `share` at least.

    The ceil((N + 1) * share)-th smallest of scores (N,), as in split conformal prediction; the largest where
    N is too small.
    """
    rank = min(len(scores), math.ceil((len(scores) + 1) * share))
    return scores.sort().values[rank - 1].item()
