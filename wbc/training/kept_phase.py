"""Which phase's network a run keeps: fine-tuning on few images may leave a worse one than it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

RULE = "the lower loss on the validation images"


def kept_phase(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The phase that is better on the validation images, by its best epoch; of equal phases the last.

    By the loss and not by macro F1: of 30 images one more that is right is chance, and the loss tells how
    sure the others are (docs/results/few_cells.md).
    summaries: by phase, in order, with val_loss of the best epoch.
    """
    return min(reversed(list(summaries)), key=lambda phase: float(summaries[phase]["val_loss"]))


def best_epoch(history: pd.DataFrame) -> dict[str, float]:
    """val_loss, val_accuracy and val_macro_f1 of a phase's best epoch; older runs tell them here alone."""
    best = history[history["is_best"]].iloc[0]
    return {name: float(best[name]) for name in ("val_loss", "val_accuracy", "val_macro_f1")}
