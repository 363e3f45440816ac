"""Which phase's network a run keeps: fine-tuning on few images may leave a worse one than it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RULE = "the higher macro F1 on the validation images, of equal ones the lower loss"


def kept_phase(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The phase that is better on the validation images, by its best epoch; of equal phases the last.

    summaries: by phase, in order, with val_macro_f1 and val_loss of the best epoch.
    """

    def goodness(phase: str) -> tuple[float, float]:
        return summaries[phase]["val_macro_f1"], -summaries[phase]["val_loss"]

    return max(reversed(list(summaries)), key=goodness)
