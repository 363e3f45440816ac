"""A head refitted to a few labelled cells, and shrunk towards what it was."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wbc.network.network import Head

# Of L-BFGS.  On ten cells a class of another lab, 100 took twice as long for the same accuracy.
_ITERATIONS = 40


def refit(head: Head, features: Tensor, labels: Tensor, strength: float, added: Tensor | float = 0.0) -> Head:
    """A copy of `head` whose parameters w minimise  CE(features, labels) + strength * |w - w_old|^2.

    CE is the mean of the classes' mean cross-entropies, so that many cells of one class do not push the
    others aside; for classes without cells the penalty alone speaks (L2-SP, Li 2018).  Dropout is off.
    Full batch L-BFGS from the old head, in float32: equal input gives an equal head.

    features (N, D) float32, labels (N,) int64; strength above 0 and finite; added (N, C): to its logits,
    whichever the head.
    Raises ValueError for no cells, for a strength that does not shrink, and where the loss is not finite.
    """
    if len(features) == 0 or features.shape[:1] != labels.shape:
        raise ValueError(f"{len(features)} rows of features, {len(labels)} labels: expected as many")
    if not 0 < strength < math.inf:
        raise ValueError(f"strength {strength}: expected a finite number above 0")
    new = copy.deepcopy(head).eval().requires_grad_(False)
    first, *others = new
    assert isinstance(first, nn.Linear)
    rest = nn.Sequential(*others).requires_grad_(True)
    # The loss moves a row of the first kernel only within the span of the features, and the penalty keeps it
    # there: on an orthonormal basis of that span there are N numbers a row to find instead of D.
    basis = torch.linalg.qr(features.T).Q  # (D, min(N, D))
    before, inside = first(features), features @ basis
    kernel = torch.zeros(first.out_features, basis.shape[1], requires_grad=True)
    bias = torch.zeros(first.out_features, requires_grad=True)
    parameters = [kernel, bias, *rest.parameters()]
    old = [parameter.detach().clone() for parameter in parameters]
    weights = _class_weights(labels, new.kernels[-1].out_features)
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=_ITERATIONS, tolerance_change=1e-6, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = rest(before + inside @ kernel.T + bias) + added
        away = [(now - then).square().sum() for now, then in zip(parameters, old, strict=True)]
        value = F.cross_entropy(logits, labels, weight=weights) + strength * torch.stack(away).sum()
        if not value.isfinite():
            raise ValueError("the loss is not finite: features or head have diverged")
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        first.weight.add_(kernel @ basis.T)
        first.bias.add_(bias)
    return new.requires_grad_(False)


def _class_weights(labels: Tensor, classes: int) -> Tensor:
    """(C,) inverse frequencies; 0 for a class without cells."""
    counts = torch.bincount(labels, minlength=classes)
    return torch.where(counts > 0, 1 / counts.clamp_min(1), 0)
