"""Which phase's network a run keeps: fine-tuning on few images may leave a worse one than it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

RULE = "the higher macro F1 on the validation images, of equal ones the lower loss"


def kept_phase(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The phase that is better on the validation images, by its best epoch; of equal phases the last.

    summaries: by phase, in order, with val_macro_f1 and val_loss of the best epoch.
    """

    def goodness(phase: str) -> tuple[float, float]:
        return summaries[phase]["val_macro_f1"], -summaries[phase]["val_loss"]

    return max(reversed(list(summaries)), key=goodness)


def best_epoch(history: pd.DataFrame) -> dict[str, float]:
    """val_loss, val_accuracy and val_macro_f1 of a phase's best epoch; older runs tell them here alone."""
    best = history[history["is_best"]].iloc[0]
    return {name: float(best[name]) for name in ("val_loss", "val_accuracy", "val_macro_f1")}
