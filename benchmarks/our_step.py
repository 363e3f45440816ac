"""A training step of this project, by its own classes and settings; a child of `train_step.py`.

    python benchmarks/our_step.py head|finetune <precision> cpu|gpu <batch size> <image size>

A real fit of Lightning's Trainer, whose batches lie in memory and come when they are asked for.  The weights
are random, which changes no time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.types import STEP_OUTPUT
from step_child import Requests, peak_memory_mib

from wbc.loading.labelled_images import Batch
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.settings.train import Config, FitConfig, parse
from wbc.training.classifier import Classifier
from wbc.training.freeze import FreezeBackbone
from wbc.training.precision import resolve_precision

CONF = Path(__file__).resolve().parents[1] / "conf"


class StepTimer(Callback):
    """Seconds of each step since the list was last emptied."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        _finish_queued_work()
        self._start = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        _finish_queued_work()
        self.seconds.append(time.perf_counter() - self._start)


class RequestedBatches:
    """The same batch for each step that is asked for; answers once the last of them is done."""

    def __init__(self, batch: Batch, timer: StepTimer, describe: Callable[[], dict[str, Any]]) -> None:
        self.batch = batch
        self.timer = timer
        self.describe = describe

    def __len__(self) -> int:
        return 10**9  # with a length, Lightning does not fetch ahead

    def __iter__(self) -> Iterator[Batch]:
        requests = Requests()
        for steps in requests:
            self.timer.seconds.clear()
            for _ in range(steps):
                yield self.batch
            memory = _peak_memory_mib(self.batch)
            requests.answer(self.timer.seconds, peak_memory_mib=memory, **self.describe())


def _finish_queued_work() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _peak_memory_mib(batch: Batch) -> float | None:
    """Of the device that computes."""
    if batch.images.is_cuda:
        return torch.cuda.max_memory_allocated() / 2**20
    return peak_memory_mib()


def settings(batch_size: int, image_size_px: int) -> Config:
    """The recipe's settings as `conf/` has them."""
    with initialize_config_dir(str(CONF / "train"), version_base="1.3"):
        composed = compose(
            "config",
            [
                "model.weights=none",
                f"model.image_size_px={image_size_px}",
                f"training.batch_size={batch_size}",
            ],
        )
    return parse(composed)


def build(config: Config, fit: FitConfig) -> Classifier:
    """The classifier that a run of these settings trains."""
    model = config.model
    backbone = Backbone(model.backbone, model.image_size_px, model.drop_path_rate)
    network = Network(backbone, config.data.classes, model.head_units, model.dropout)
    return Classifier(
        network,
        lr=fit.lr,
        label_smoothing=config.training.label_smoothing,
        l2=config.training.l2,
        adam_epsilon=config.training.adam_epsilon,
        seed=config.seed,
    )


def random_batch(batch_size: int, image_size_px: int, classes: int, device: str) -> Batch:
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, 3, image_size_px, image_size_px)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, classes, (batch_size,), generator=generator)
    return Batch(images.to(device), labels.to(device), torch.arange(batch_size, device=device))


def main(phase: str, precision: str, accelerator: str, batch_size: int, image_size_px: int) -> None:
    config = settings(batch_size, image_size_px)
    fit: FitConfig = getattr(config.phase, phase)
    resolved: Any = resolve_precision(precision, accelerator)
    device = "cuda" if accelerator == "gpu" else accelerator
    torch.manual_seed(config.seed)
    classifier = build(config, fit)

    def describe() -> dict[str, Any]:
        trainable = sum(p.numel() for p in classifier.parameters() if p.requires_grad)
        return {"device": accelerator, "precision": resolved, "trainable_parameters": trainable}

    timer = StepTimer()
    batch = random_batch(batch_size, image_size_px, len(config.data.classes), device)
    trainer = Trainer(
        accelerator=accelerator,
        devices=1,
        precision=resolved,
        max_epochs=1,
        callbacks=[FreezeBackbone(fit.unfreeze_last, fit.batch_norm == "trainable"), timer],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier, RequestedBatches(batch, timer, describe))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
