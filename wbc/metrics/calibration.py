"""Probabilities that mean what they say: temperature scaling, and how far probabilities are off."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error


class Bin(NamedTuple):
    """The images whose highest probability lies in (low, high]; its mean, and the share that is right."""

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Mean gap between the highest probability and the share that is right, over bins of equal width.

    probabilities (N, C), labels (N,).  Returns 0..1 (Naeini 2015; 15 bins as Guo 2017).
    """
    classes = probabilities.shape[1]
    return multiclass_calibration_error(probabilities, labels, classes, n_bins=bins, norm="l1").item()


def brier_score(probabilities: Tensor, labels: Tensor) -> float:
    """Mean over images of the squared distance to the one-hot truth, 0..2 (Brier 1950)."""
    truth = torch.nn.functional.one_hot(labels, probabilities.shape[1])
    return (probabilities.double() - truth).square().sum(dim=1).mean().item()


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 15) -> list[Bin]:
    """What a reliability diagram shows: the bins of `expected_calibration_error` that hold images."""
    confidences, predicted = probabilities.double().max(dim=1)
    right = (predicted == labels).double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    index = torch.bucketize(confidences, edges[1:-1])  # (low, high]
    found = []
    for number in index.unique().tolist():
        inside = index == number
        found.append(
            Bin(
                edges[number].item(),
                edges[number + 1].item(),
                int(inside.sum()),
                confidences[inside].mean().item(),
                right[inside].mean().item(),
            )
        )
    return found
