"""Cells that are none of the classes and were shown: told from known ones by a line through their features.

Such a line knows the kinds that it learnt and no others.  So it speaks beside an outlier score, which knows
what is unlike every known cell, and adds to it on the side of the unknown alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import Tensor

# Inverse strength of the penalty, chosen by kinds that were learnt and by kinds that were not.
_C = 100.0
_ITERATIONS = 2000


@dataclass(frozen=True)
class UnknownKinds:
    """Logistic regression on features at unit length: weight (D,), bias (1,), above 0 for the unknown."""

    weight: Tensor
    bias: Tensor


def fit_unknown_kinds(known: Tensor, unknown: Tensor) -> UnknownKinds:
    """By features (N, D) of known and (M, D) of unknown cells, both as heavy.  Raises ValueError for none."""
    if not len(known) or not len(unknown):
        raise ValueError(f"{len(known)} known and {len(unknown)} unknown cells: expected one of each or more")
    features = F.normalize(torch.cat([known, unknown]).float())
    is_unknown = torch.arange(len(features)) >= len(known)
    fitted = LogisticRegression(C=_C, class_weight="balanced", max_iter=_ITERATIONS)
    fitted.fit(features.numpy(), is_unknown.numpy())
    return UnknownKinds(
        torch.from_numpy(fitted.coef_[0]).float(), torch.from_numpy(fitted.intercept_).float()
    )
