"""AutoTimm by its own classes; a row of `peers.py`.

Its own settings stay where they are no part of the work that is compared: compilation, the schedule, the
head of one layer, and `freeze_backbone`, which leaves the statistics of batch-norms running.  Its search for
a learning rate is switched off.
"""

from __future__ import annotations

import time
from typing import Any

import albumentations as A
import cv2
import torch
from albumentations.pytorch import ToTensorV2
from autotimm import AutoTrainer, BackboneConfig, ImageClassifier, ImageDataModule
from autotimm.data.dataset import ImageFolderCV2
from peers_job import PHASES, Answer, EpochClock, Job, installed, read_arguments
from peers_timm import EpochEnds
from timm.data import resolve_model_data_config
from timm.models import create_model
from torch.utils.data import DataLoader


def transforms(job: Job, *, train: bool) -> A.Compose:
    """The recipe's own augmentation, as conf/train/augment/recipe.yaml has it."""
    steps: list[Any] = [A.Resize(job.image_size_px, job.image_size_px)]
    if train:
        steps += [
            A.HorizontalFlip(p=0.5),
            A.VerticalFlip(p=0.5),
            A.Affine(rotate=(-180, 180), scale=(0.85, 1.15), border_mode=cv2.BORDER_REFLECT_101, p=1.0),
            A.RandomBrightnessContrast(brightness_limit=0.15, contrast_limit=0.15, p=0.7),
            A.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 1.5), p=0.3),
        ]
    config = resolve_model_data_config(create_model(job.backbone, num_classes=0))
    return A.Compose([*steps, A.Normalize(config["mean"], config["std"]), ToTensorV2()])


def classifier(job: Job, lr: float) -> ImageClassifier:
    backbone = BackboneConfig(
        job.backbone,
        pretrained=job.weights is not None,
        extra_kwargs={} if job.weights is None else {"pretrained_cfg_overlay": {"file": job.weights}},
    )
    return ImageClassifier(
        backbone,
        len(job.classes),
        lr=lr,
        optimizer="adam",
        head_dropout=job.dropout,
        label_smoothing=job.label_smoothing,
        freeze_backbone=True,
        compile_model=job.options["compile_model"],
        deterministic=False,
    )


def main() -> None:
    job, answer_file = read_arguments()
    torch.manual_seed(0)
    data = ImageDataModule(
        job.images,
        image_size=job.image_size_px,
        batch_size=job.batch_size,
        transform_backend="albumentations",
        train_transforms=transforms(job, train=True),
        eval_transforms=transforms(job, train=False),
    )
    answer = Answer("32-true", installed("autotimm", "timm", "pytorch-lightning", "torch", "albumentations"))
    trained: ImageClassifier | None = None
    for phase in PHASES:
        model = classifier(job, job.lr[phase])
        if trained is not None:
            model.load_state_dict(trained.state_dict())
        for name, module in model.backbone.named_modules():
            if phase == "finetune" and name.removeprefix("_orig_mod.") in job.unfrozen:
                module.requires_grad_(True)
        clock = EpochClock()
        trainer = AutoTrainer(
            max_epochs=job.epochs,
            tuner_config=False,
            callbacks=[EpochEnds(clock)],
            default_root_dir=job.scratch,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        clock.start()
        trainer.fit(model, datamodule=data)
        answer.phase(phase, clock)
        trained = model
    answer.trained_s = time.time() - job.started

    started = time.perf_counter()
    files = ImageFolderCV2(job.predict, transforms(job, train=False))
    loader = DataLoader(files, job.predict_batch_size, num_workers=data.num_workers)
    found = torch.cat(trainer.predict(trained, loader)).argmax(dim=1).tolist()
    answer.labels = {path: job.classes[label] for (path, _), label in zip(files.samples, found, strict=True)}
    answer.predict_s = time.perf_counter() - started
    answer.write(answer_file)


if __name__ == "__main__":
    main()
