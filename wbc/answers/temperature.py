"""The temperature of a model: what its logits are divided by so that probabilities come true."""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

_TEMPERATURES = (0.05, 20.0)  # wider than any network needs


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T at which softmax(logits / T) has the least negative log-likelihood (Guo 2017).

    logits (N, C), labels (N,).  Returns T in 0.05..20: where every image is right, colder is better without
    end.  Raises ValueError for no images and for logits that are not finite.
    """
    if len(logits) == 0 or logits.shape[:1] != labels.shape:
        raise ValueError(f"{len(logits)} rows of logits and {len(labels)} labels: expected as many, and some")
    if not logits.isfinite().all():
        raise ValueError("logits are not finite: the network has diverged")
    exact = logits.double()

    def loss(log_temperature: float) -> float:
        return torch.nn.functional.cross_entropy(exact / math.exp(log_temperature), labels).item()

    found = minimize_scalar(loss, bounds=tuple(map(math.log, _TEMPERATURES)), method="bounded")
    return math.exp(found.x)
