"""One row an epoch, kept through resumes: what the training curves show."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

import pandas as pd
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_only

from wbc.utils.durations import in_words
from wbc.utils.files import replacing

log = logging.getLogger(__name__)

_GAIN = 0.005  # of macro F1, which another seed may bring as well (docs/results/raabin.md)


class History(Callback):
    """Collects each epoch's metrics, learning rate and seconds, and writes them to a CSV file.

    Lightning's CSVLogger drops the rows from before a resume; these travel in the checkpoint.
    """

    def __init__(self, phase: str, path: Path) -> None:
        self.phase = phase
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self._started = 0.0

    @property
    def frame(self) -> pd.DataFrame:
        """Columns phase, epoch, lr, seconds, and every metric logged."""
        return pd.DataFrame(self.rows)

    @property
    def seconds(self) -> float:
        """Time of all epochs so far, validation and checkpoints included."""
        return sum(row["seconds"] for row in self.rows)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch's clock and note the rate it trains at."""
        self._started = time.monotonic()
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's row, write the file, and say how long it may still take."""
        logged = sorted(trainer.callback_metrics.items())
        metrics = {name: float(value) for name, value in logged if not name.startswith("lr-")}  # told as lr
        row = {"phase": self.phase, "epoch": trainer.current_epoch, "lr": self._lr, **metrics}
        row["seconds"] = time.monotonic() - self._started
        self.rows.append(row)
        self._report(trainer)

    @rank_zero_only
    def _report(self, trainer: Trainer) -> None:
        with replacing(self.path) as beside:
            self.frame.to_csv(beside, index=False)
        epochs, row = trainer.max_epochs or 0, self.rows[-1]
        left_s = (epochs - len(self.rows)) * self.seconds / len(self.rows)
        log.info(
            "%s epoch %d of %d: %s; %s%s",
            self.phase,
            row["epoch"] + 1,
            epochs,
            ", ".join(f"{name} {row[name]:.4f}" for name in row if name.startswith(("train_", "val_"))),
            in_words(row["seconds"]),
            f", at most {in_words(math.ceil(left_s))} left in this phase" if left_s else "",
        )

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, plain values."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the restored rows."""
        self.rows = [dict(row) for row in state_dict["rows"]]


def ended_while_gaining(history: pd.DataFrame, max_epochs: int) -> bool:
    """Whether more epochs might have helped: all were used, and the last brought half a point of macro F1.

    history: of a phase, with val_macro_f1 and is_best.
    """
    score = history["val_macro_f1"]
    if len(history) < max_epochs or not history["is_best"].iloc[-1]:
        return False
    return len(history) == 1 or bool(score.iloc[-1] - score.iloc[:-1].max() > _GAIN)
