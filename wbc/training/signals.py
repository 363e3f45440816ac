"""Signals while Lightning trains."""

from __future__ import annotations

from pytorch_lightning import Callback, LightningModule, Trainer

from wbc.utils.stopping import heed_sigterm


class OwnSigterm(Callback):
    """SIGTERM stops a fit as Ctrl-C does.

    Lightning's handler tells the other processes by a broadcast, for which one that waits within another
    collective never comes: all of them would hang.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After Lightning has set its handlers."""
        heed_sigterm()
