"""Signals while Lightning trains."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from wbc.utils.stopping import heed_signals, is_asked_to_stop


class StopWhenAsked(Callback):
    """SIGTERM stops a fit as Ctrl-C does.

    Lightning's handler tells the other processes by a broadcast, for which one that waits within another
    collective never comes: all of them would hang.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After Lightning has set its handlers."""
        heed_signals()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Where the interrupt itself was lost."""
        if is_asked_to_stop():
            raise KeyboardInterrupt
