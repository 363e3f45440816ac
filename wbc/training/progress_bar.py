"""The progress of a phase: one bar for all its epochs, where there is a terminal to redraw it on."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar

from wbc.utils.progress import Progress

_LINE_EVERY_S = 300.0  # without a terminal, within an epoch that takes longer
_SHOWN = "val_macro_f1"  # the log's line for the epoch has them all


class PhaseProgress(ProgressBar):
    """Epoch, batches, the last epoch's macro F1 and the time left of a phase; then its test batches.

    To be left out of the callbacks with `trainer.enable_progress_bar=false`, beside which Lightning takes no
    bar of anybody's.
    """

    def __init__(self, phase: str) -> None:
        super().__init__()
        self.phase = phase
        self._bar: Progress | None = None
        self._enabled = True

    def disable(self) -> None:
        """Called by Lightning in all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show bars again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """One bar for all epochs that may come; those of an interrupted run are done."""
        batches = int(self.total_train_batches)
        self._bar = Progress(
            self.phase,
            "batch",
            batches * (trainer.max_epochs or 1),
            done=batches * trainer.current_epoch,
            at_most=True,
            line_every_s=_LINE_EVERY_S,
            leaves_line=False,
            shown=self._enabled,
        )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Name the epoch."""
        if self._bar is not None:
            self._bar.title = f"{self.phase} epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """One more is done."""
        if self._bar is not None:
            self._bar.update()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show how good the epoch was."""
        if self._bar is not None:
            if _SHOWN in trainer.callback_metrics:
                self._bar.note = f"{_SHOWN} {trainer.callback_metrics[_SHOWN]:.3f}"
            self._bar.line_was_told()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The bar goes; the log keeps a line for each epoch."""
        self._close()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A bar for the images that the best epoch is measured on."""
        batches = int(sum(trainer.num_test_batches))
        self._bar = Progress(f"{self.phase}, measuring the best epoch", "batch", batches, shown=self._enabled)

    def on_test_batch_end(self, *_: Any, **__: Any) -> None:
        """One more is done."""
        if self._bar is not None:
            self._bar.update()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The bar goes."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the line to the message that is to come."""
        self._close(finished=False)

    def _close(self, finished: bool = True) -> None:
        if self._bar is not None:
            self._bar.close(finished)
            self._bar = None
