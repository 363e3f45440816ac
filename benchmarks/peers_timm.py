"""A plain script of timm and Lightning, as one writes it in an hour; a row of `peers.py`."""

from __future__ import annotations

import time
from typing import Any

import timm
import torch
import torch.nn.functional as F
from peers_job import PHASES, Answer, EpochClock, Job, installed, read_arguments
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

WORKERS = 2


class EpochEnds(Callback):
    """Tells the clock: after validation, for Lightning ends a training epoch behind it."""

    def __init__(self, clock: EpochClock) -> None:
        self.clock = clock

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.clock.epoch_ended()


class Classifier(LightningModule):
    def __init__(self, backbone: nn.Module, head: nn.Module, label_smoothing: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.label_smoothing = label_smoothing
        self.lr = 0.0

    def unfreeze(self, modules: list[str]) -> None:
        """These and the head train, all else is frozen."""
        self.backbone.requires_grad_(False)
        for name in modules:
            self.backbone.get_submodule(name).requires_grad_(True)

    def train(self, mode: bool = True) -> Classifier:
        """As in torch, but frozen batch-norms stay as they are."""
        super().train(mode)
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        loss = F.cross_entropy(self(images), labels, label_smoothing=self.label_smoothing)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        images, labels = batch
        logits = self(images)
        self.log("val_loss", F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing))
        self.log("val_accuracy", (logits.argmax(dim=1) == labels).float().mean())

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self(batch[0]).softmax(dim=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam([p for p in self.parameters() if p.requires_grad], lr=self.lr)


def build(job: Job) -> Classifier:
    weights: dict[str, Any] = {}
    if job.weights is not None:
        weights = {"pretrained": True, "pretrained_cfg_overlay": {"file": job.weights}}
    backbone = timm.create_model(job.backbone, num_classes=0, **weights)
    layers: list[nn.Module] = []
    width = backbone.num_features
    for unit in job.head_units:
        layers += [nn.Linear(width, unit), nn.ReLU(), nn.Dropout(job.dropout)]
        width = unit
    head = nn.Sequential(*layers, nn.Linear(width, len(job.classes)))
    return Classifier(backbone, head, job.label_smoothing)


def transforms(job: Job, backbone: nn.Module, *, train: bool) -> v2.Compose:
    steps: list[Any] = [v2.ToImage(), v2.Resize((job.image_size_px, job.image_size_px))]
    if train:
        steps += [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(180, scale=(0.85, 1.15), interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(0.15, 0.15),
            v2.RandomApply([v2.GaussianBlur(5, (0.1, 1.5))], 0.3),
        ]
    config = timm.data.resolve_model_data_config(backbone)
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(config["mean"], config["std"])]
    return v2.Compose(steps)


def main() -> None:
    job, answer_file = read_arguments()
    seed_everything(0, workers=True, verbose=False)
    precision = job.options["precision"]
    model = build(job)
    train, val = (
        DataLoader(
            ImageFolder(f"{job.images}/{split}", transforms(job, model.backbone, train=split == "train")),
            job.batch_size,
            shuffle=split == "train",
            num_workers=WORKERS,
            persistent_workers=True,
        )
        for split in ("train", "val")
    )
    answer = Answer(precision, installed("timm", "pytorch-lightning", "torch", "torchvision"))
    for phase in PHASES:
        model.unfreeze(job.unfrozen if phase == "finetune" else [])
        model.lr = job.lr[phase]
        clock = EpochClock()
        trainer = Trainer(
            max_epochs=job.epochs,
            precision=precision,
            callbacks=[EpochEnds(clock)],
            logger=False,
            default_root_dir=job.scratch,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        clock.start()
        trainer.fit(model, train, val)
        answer.phase(phase, clock)
    answer.trained_s = time.time() - job.started

    started = time.perf_counter()
    files = ImageFolder(job.predict, transforms(job, model.backbone, train=False))
    loader = DataLoader(files, job.predict_batch_size, num_workers=WORKERS)
    found = torch.cat(trainer.predict(model, loader)).argmax(dim=1).tolist()
    answer.labels = {path: job.classes[label] for (path, _), label in zip(files.samples, found, strict=True)}
    answer.predict_s = time.perf_counter() - started
    answer.write(answer_file)


if __name__ == "__main__":
    main()
