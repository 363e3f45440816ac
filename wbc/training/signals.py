"""Signals while Lightning trains."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from wbc.utils.stopping import heed_signals, is_asked_to_stop, note_signals


class StopWhenAsked(Callback):
    """Ctrl-C and SIGTERM stop a fit before its next batch; a second one at once.

    Lightning's handler tells the other processes by a broadcast, for which one that waits within another
    collective never comes: all of them would hang.  An exception at any line would meet the thread that
    writes the curves, or Python's collection of garbage, which drops it.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After Lightning has set its handlers."""
        note_signals()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Between batches everything is in order."""
        raise_if_asked()

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Likewise."""
        raise_if_asked()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """At once again."""
        heed_signals()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Likewise."""
        heed_signals()


def raise_if_asked() -> None:
    """KeyboardInterrupt where a signal has come."""
    if is_asked_to_stop():
        raise KeyboardInterrupt
