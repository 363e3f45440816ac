"""Outlier (out-of-distribution) scores of an image, fitted on validation images.

Of every method, a higher score is more of an outlier.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.covariance import ledoit_wolf
from sklearn.model_selection import KFold
from torch import Tensor

METHODS = ("energy", "mahalanobis", "knn", "vim")

_NEIGHBOUR = 5  # the first is too often a chance; far ones of a rare class are of another
_PRINCIPAL = 0.5  # share of the dimensions that ViM's residual leaves out, as 1000 of 2048 in the paper
_FOLDS = 10


@dataclass(frozen=True)
class OutlierScore:
    """A fitted method: its name and the tensors it needs.

    energy: -logsumexp(logits) (Liu 2020).  mahalanobis: squared distance to the nearest class mean under
    one covariance (Lee 2018), shrunk after Ledoit & Wolf 2004, for there are fewer images than features.
    knn: distance to the fifth nearest validation image, features at unit length (Sun 2022).  vim: energy
    plus the length of what the validation images' principal features leave over (Wang 2022), centred on
    their mean, since behind several dense layers features have no point of zero logits.
    """

    method: str
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def score(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D), logits (N, C), on the CPU; returns (N,) float64."""
        energy = -logits.double().logsumexp(dim=1)
        if self.method == "energy":
            return energy
        if self.method == "knn":
            distances = torch.cdist(F.normalize(features.float()), self.tensors["bank"])
            rank = min(_NEIGHBOUR, distances.shape[1])
            return distances.kthvalue(rank, dim=1).values.double()
        if self.method == "mahalanobis":
            # (N, classes seen, D), a class at a time: all at once would take gigabytes on large batches.
            apart = [features.double() - mean for mean in self.tensors["means"].double()]
            precision = self.tensors["precision"].double()
            return torch.stack([((a @ precision) * a).sum(dim=1) for a in apart]).amin(dim=0)
        left_over = (features.double() - self.tensors["centre"].double()) @ self.tensors["residual"].double()
        return self.tensors["scale"].double() * left_over.norm(dim=1) + energy

    def state(self) -> dict[str, Any]:
        """As a checkpoint may hold it."""
        return {"method": self.method, "tensors": self.tensors}


def outlier_score_from_state(state: dict[str, Any]) -> OutlierScore:
    """What `OutlierScore.state` came from.  Raises KeyError or ValueError for anything else."""
    if state["method"] not in METHODS:
        raise ValueError(f"outlier score {state['method']!r}: expected one of {METHODS}")
    return OutlierScore(state["method"], state["tensors"])


def fit(method: str, features: Tensor, logits: Tensor, labels: Tensor) -> OutlierScore:
    """`method` fitted on images of known classes: features (N, D), logits (N, C), labels (N,).

    A class without images is none that anything can be near to.  Raises ValueError for an unknown method
    and for no images.
    """
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


def held_out_scores(method: str, features: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Each image's score (N,) by a fit on the other nine tenths.

    What is fitted on an image finds it too familiar: it would be its own nearest neighbour.
    """
    if len(features) < 2:
        return fit(method, features, logits, labels).score(features, logits)
    scores = torch.empty(len(features), dtype=torch.float64)
    for kept, left in KFold(min(_FOLDS, len(features)), shuffle=True, random_state=0).split(
        np.arange(len(features))
    ):
        inside, outside = torch.from_numpy(kept), torch.from_numpy(left)
        fitted = fit(method, features[inside], logits[inside], labels[inside])
        scores[outside] = fitted.score(features[outside], logits[outside])
    return scores


def acceptance_threshold(scores: Tensor, share: float) -> float:
    """The score which new images of the same kind do not exceed with probability `share` at least.

    The ceil((N + 1) * share)-th smallest of scores (N,), as in split conformal prediction; the largest where
    N is too small.
    """
    rank = min(len(scores), math.ceil((len(scores) + 1) * share))
    return scores.sort().values[rank - 1].item()
