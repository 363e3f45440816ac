"""Which phase's network a run keeps: fine-tuning on few images may leave a worse one than it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

RULE = "the last, unless an earlier one has a lower loss on the validation images by more than chance gives"
STANDARD_ERRORS = 2.0  # of the mean difference of two phases' losses, which chance hardly gives


def kept_phase(summaries: Mapping[str, Mapping[str, Any]], image_losses: Callable[[str], Tensor]) -> str:
    """The last phase, unless another is better on the validation images beyond chance.

    By the loss and not by macro F1: of 30 images one more that is right is chance, and the loss tells how
    sure the others are.  Beyond chance, because fine-tuning nearly always helps: of 21 images two say little
    against that (docs/results/few_cells.md).
    summaries: by phase, in order, with val_loss of the best epoch.  image_losses: of a phase, the loss of
    each validation image (N,), in one order; asked for only where the last phase is not the better one.
    """
    last = list(summaries)[-1]
    best = min(reversed(list(summaries)), key=lambda phase: float(summaries[phase]["val_loss"]))
    if best == last:
        return last
    worse_by = (image_losses(last) - image_losses(best)).double()
    if len(worse_by) < 2:
        return last
    standard_error = worse_by.std() / len(worse_by) ** 0.5
    return best if worse_by.mean() > STANDARD_ERRORS * standard_error else last


def image_losses(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """The loss of each image as in training, without the penalty on weights: (N,) from (N, C) and (N,)."""
    return torch.nn.functional.cross_entropy(
        logits, labels, label_smoothing=label_smoothing, reduction="none"
    )


def best_epoch(history: pd.DataFrame) -> dict[str, float]:
    """val_loss, val_accuracy and val_macro_f1 of a phase's best epoch; older runs tell them here alone."""
    best = history[history["is_best"]].iloc[0]
    return {name: float(best[name]) for name in ("val_loss", "val_accuracy", "val_macro_f1")}
