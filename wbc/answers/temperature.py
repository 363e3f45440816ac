"""The temperature of a model: what its logits are divided by so that probabilities come true."""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

_TEMPERATURES = (0.05, 20.0)  # wider than any network needs


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T at which softmax(logits / T) has the least negative log-likelihood (Guo 2017).

    The likelihood is that of Platt's targets: of N images that are right all the next one may still be wrong,
    so the true class gets (N + 1) / (N + 2) and the others share the rest.  Where every image is right, plain
    labels would have the probabilities rise to 1 (Platt 1999, for his two classes).

    logits (N, C), labels (N,).  Returns T in 0.05..20.  Raises ValueError for no images and for logits that
    are not finite.
    """
    if len(logits) == 0 or logits.shape[:1] != labels.shape:
        raise ValueError(f"{len(logits)} rows of logits and {len(labels)} labels: expected as many, and some")
    if not logits.isfinite().all():
        raise ValueError("logits are not finite: the network has diverged")
    exact = logits.double()
    images, classes = logits.shape
    # PyTorch spreads the smoothing over all classes, the true one too.
    smoothing = classes / ((classes - 1) * (images + 2))

    def loss(log_temperature: float) -> float:
        scaled = exact / math.exp(log_temperature)
        return torch.nn.functional.cross_entropy(scaled, labels, label_smoothing=smoothing).item()

    found = minimize_scalar(loss, bounds=tuple(map(math.log, _TEMPERATURES)), method="bounded")
    return math.exp(found.x)
