"""The average of a phase's weights: what is validated, kept, saved and tested in place of the last step's."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor


class AverageWeights(WeightAveraging):
    """Lightning's averaging: exponential with `decay` a step, or with None the plain mean of all steps.

    It starts with epoch `from_epoch`; before, the average is the current weights, where Lightning's would be
    those that the phase started from.  Every checkpoint holds the average as its `state_dict`, and beside it
    what it takes to go on training.  Buffers are averaged too: the running statistics of a batch-norm that
    trains.  Has to come after the callback that freezes: the average is a copy made in `setup`.

    What is frozen stays bit-identical, or values cached from it would not be the saved network's: each update
    is a step from the average towards the weights, no step where they are equal.  Lightning's
    EMAWeightAveraging sums two rounded products, and torch's own functions round a batch-norm's count of
    batches down; counts are copied here.
    References: Polyak 1992 (mean), Izmailov 2018 (mean of the last epochs), torch.optim.swa_utils.
    """

    def __init__(self, decay: float | None, from_epoch: int = 0) -> None:
        super().__init__(multi_avg_fn=self._step)
        self.decay = decay
        self.from_epoch = from_epoch

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Copy the network to where it will train: it is not there yet."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the step's weights into the average."""
        assert self._average_model is not None
        epoch = trainer.current_epoch
        if epoch < self.from_epoch or (epoch == self.from_epoch and batch_idx == 0):
            self._average_model.n_averaged.zero_()  # the next update copies
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    @torch.no_grad()
    def _step(self, averages: list[Tensor], weights: list[Tensor], averaged: Tensor) -> None:
        """Tensors of one type; `averaged`: how many steps the average holds already."""
        if averages[0].is_floating_point():
            share = 1 / (int(averaged) + 1) if self.decay is None else 1 - self.decay
            torch._foreach_lerp_(averages, weights, share)
        else:
            torch._foreach_copy_(averages, weights)
