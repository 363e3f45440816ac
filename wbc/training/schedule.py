"""What a monitored value decides: the learning rate, the end of a phase, and which epoch is kept.

All as callbacks whose state is saved with the epoch they have seen, so that a resumed run goes on exactly
where it stopped.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch.optim.lr_scheduler import ReduceLROnPlateau

log = logging.getLogger(__name__)

_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")  # in ModelCheckpoint's state


class KerasPlateau(Callback):
    """Multiplies the learning rate by `factor` after `patience` epochs without progress in `monitor`.

    Progress is a change of more than `min_delta`, absolute, and the rate falls as soon as `patience` epochs
    have gone by (keras.callbacks.ReduceLROnPlateau); PyTorch's is relative and waits one epoch longer.
    Not as Lightning's scheduler: it steps after the epoch's checkpoint is saved, and not at all on resume, so
    that a resumed run would miss an epoch.
    """

    def __init__(
        self, monitor: str, mode: str, factor: float, patience: int, min_delta: float, min_lr: float
    ):
        self.monitor = monitor
        self.options: dict[str, Any] = {
            "mode": mode,
            "factor": factor,
            "patience": patience - 1,  # PyTorch fires when its count exceeds this
            "threshold": min_delta,
            "threshold_mode": "abs",
            "min_lr": min_lr,
        }
        self._scheduler: ReduceLROnPlateau | None = None
        self._restored: dict[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attach to the fit's optimizer; its learning rate is restored with the optimizer itself."""
        self._scheduler = ReduceLROnPlateau(trainer.optimizers[0], **self.options)
        if self._restored is not None:
            self._scheduler.load_state_dict(self._restored)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the epoch's value."""
        assert self._scheduler is not None
        before = self._scheduler.optimizer.param_groups[0]["lr"]
        self._scheduler.step(float(trainer.callback_metrics[self.monitor]))
        after = self._scheduler.optimizer.param_groups[0]["lr"]
        if after < before:
            log.info(
                "epoch %d: %s is no better, so the learning rate falls from %g to %g",
                trainer.current_epoch + 1,
                self.monitor,
                before,
                after,
            )

    def state_dict(self) -> dict[str, Any]:
        """Plain values only, so that the checkpoint loads with weights_only."""
        return {} if self._scheduler is None else self._scheduler.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning restores callbacks before the optimizer exists; kept until training starts."""
        self._restored = state_dict or None


class EarlyStop(EarlyStopping):
    """Lightning's early stopping, which stays stopped when a phase that it ended is resumed.

    Without this a run killed between the end of one phase and the start of the next would train on.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the restored count."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class BestAndLast(ModelCheckpoint):
    """Keeps the best epoch as best.ckpt and the last one as last.ckpt, in `folder`.

    Lightning forgets the best epoch when a run is resumed in a folder that was moved or renamed.
    """

    def __init__(self, folder: Path, monitor: str, mode: str) -> None:
        super().__init__(
            folder,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=True,
            save_on_train_epoch_end=True,  # after validation and the other callbacks: a whole epoch's state
            enable_version_counter=False,
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save every epoch as the last; Lightning from 2.6 on does so only where it is the best too."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._last_global_step_saved != trainer.global_step:
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what was best, wherever the folder lies now."""
        folder = Path(str(self.dirpath))
        moved = {name: str(folder / Path(state_dict[name]).name) for name in _PATHS if state_dict[name]}
        best = {str(folder / Path(path).name): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "dirpath": self.dirpath, "best_k_models": best})
