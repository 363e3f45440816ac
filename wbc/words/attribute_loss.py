"""The loss of attributes, which trains a backbone beside that of the class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wbc.words.attribute_table import MISSING


class AttributeLoss(nn.Module):
    """Linear heads on features, and `weight` times their mean cross-entropy over known values.

    targets: (N, A) int64 of the N training images.  The heads start at zero: as long as they know nothing no
    gradient of theirs reaches the backbone.  They only shape it: those of the final model are fitted when
    training has ended, on the features that it ended with.
    """

    targets: Tensor

    def __init__(self, features: int, sizes: Sequence[int], targets: Tensor, weight: float) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.weight = weight
        self.heads = nn.Linear(features, sum(sizes))
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)
        self.register_buffer("targets", targets, persistent=False)

    def forward(self, features: Tensor, indices: Tensor) -> Tensor:
        """A scalar, of features (N, D) of the images number `indices` (N,); 0 where no value is known."""
        with torch.autocast(features.device.type, enabled=False):
            logits = self.heads(features.float())  # (N, values of all attributes)
        losses = [
            F.cross_entropy(part, truth, ignore_index=MISSING, reduction="sum")
            for part, truth in zip(logits.split(self.sizes, dim=1), self.targets[indices].T, strict=True)
        ]
        known = (self.targets[indices] != MISSING).sum()
        return self.weight * torch.stack(losses).sum() / known.clamp(min=1)
