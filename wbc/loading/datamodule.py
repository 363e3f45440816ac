"""The data module: loaders over a manifest's sets, of images or of cached frozen values."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from wbc.datasets.manifest import used_rows
from wbc.images.prepare import Prepare
from wbc.loading.activations import ActivationStore
from wbc.loading.augment import Augment
from wbc.loading.balance import BalancedSampling
from wbc.loading.decoded import DecodedImages
from wbc.loading.epoch_sampler import EpochSampler
from wbc.loading.labelled_images import FrozenImages, LabelledImages
from wbc.utils.machine import default_workers, opencv_in_one_thread

log = logging.getLogger(__name__)


class ImageData(LightningDataModule):
    """Loaders over a manifest; `evaluated` names the sets that a run measures, validation first."""

    def __init__(
        self,
        manifest: pd.DataFrame,
        classes: Sequence[str],
        prepare: Prepare,
        batch_size: int,
        augment: Augment,
        seed: int,
        workers: int | None = None,
        balance: float = 0.0,
        max_repeats: int = 1,
    ) -> None:
        super().__init__()
        used = used_rows(manifest)
        self.rows: dict[str, pd.DataFrame] = {
            name: used[used["split"] == name] for name in sorted(set(used["split"]))
        }
        self.evaluated = ["val", *(split for split in self.rows if split.startswith("test"))]
        self.classes = list(classes)
        self.prepare = prepare
        self.batch_size = batch_size
        self.augment = augment
        self.seed = seed
        self.workers = default_workers() if workers is None else workers
        self.sampling = _sampling(self.rows["train"], balance, max_repeats) if balance else None
        self.min_steps = 0
        self.first_epoch = 0
        self.decoded = {
            name: DecodedImages(self.rows[name]["path"].tolist(), prepare) for name in ("train", "val")
        }
        self.frozen: dict[str, ActivationStore] = {}  # set -> its frozen values, where they are cached
        self.frozen_draws = 0
        self.cache_files: set[Path] = set()  # made by this run

    def start_phase(self, first_epoch: int, min_steps: int) -> None:
        """Epochs are counted through all phases, so that each sees views and an order of its own.

        A training epoch of fewer than `min_steps` batches goes through the images as often as comes nearest.
        """
        self.first_epoch = first_epoch
        self.min_steps = min_steps
        self.frozen = {}

    def delete_caches(self) -> None:
        """Remove the cache files that this run made."""
        self.frozen = {}
        for decoded in self.decoded.values():
            decoded.close()
        for file in self.cache_files:
            file.unlink(missing_ok=True)
            if file.parent.is_dir() and not any(file.parent.iterdir()):
                file.parent.rmdir()

    def images(self, name: str) -> LabelledImages:
        """The images of one set, augmented if it is the training set."""
        augment = self.augment if name == "train" else None
        labels = self.rows[name]["label"].tolist()
        return LabelledImages(self.decoded[name], labels, self.classes, augment, self.seed)

    def labels(self, name: str) -> Tensor:
        """The true classes (N,) of a set by number."""
        return torch.tensor([self.classes.index(label) for label in self.rows[name]["label"]])

    def train_dataloader(self) -> DataLoader[Any]:
        """Augmented training images, shuffled."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation images as they are."""
        return self._loader("val", shuffle=False)

    def image_loader(self, name: str, views: EpochSampler, *, persistent: bool = False) -> DataLoader[Any]:
        """Batches of images, decoded and augmented in other processes."""
        return DataLoader(
            self.images(name),
            batch_size=self.batch_size,
            sampler=views,
            num_workers=self.workers,
            persistent_workers=self.workers > 0 and persistent,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=opencv_in_one_thread,
        )

    def whole_loader(self, name: str) -> tuple[EpochSampler, DataLoader[Any]]:
        """All images of a set as they are listed, for one process alone, and the order to tell the epoch."""
        views = EpochSampler(len(self.rows[name]), shuffle=False)
        if name in self.frozen:
            return views, self._frozen_loader_of(name, views)
        return views, self.image_loader(name, views)

    def order(self, name: str, *, shuffle: bool, first_epoch: int) -> EpochSampler:
        """The order in which this rank sees a set."""
        images, ranks = len(self.rows[name]), self.trainer.world_size if self.trainer else 1
        return EpochSampler(
            images,
            shuffle=shuffle,
            seed=self.seed,
            first_epoch=first_epoch,
            rank=self.trainer.global_rank if self.trainer else 0,
            ranks=ranks,
            sampling=self.sampling if name == "train" else None,
            passes=max(1, round(self.min_steps * self.batch_size * ranks / images)),
        )

    def _loader(self, name: str, *, shuffle: bool) -> DataLoader[Any]:
        views = self.order(name, shuffle=shuffle, first_epoch=self.first_epoch)
        if self.trainer is not None:
            # Where a run goes on, loader processes have asked for the first batches before Lightning sets it.
            done = self.trainer.fit_loop.epoch_progress.current
            views.set_epoch(done.processed)  # type: ignore[attr-defined]  # declared without it
        if name not in self.frozen:
            return self.image_loader(name, views, persistent=shuffle)
        return self._frozen_loader_of(name, views)

    def _frozen_loader_of(self, name: str, views: EpochSampler) -> DataLoader[Any]:
        count = self.frozen_draws if name == "train" else 1
        return self.frozen_loader(FrozenImages(self.images(name), self.frozen[name], count), views)

    def frozen_loader(self, cells: FrozenImages, views: EpochSampler) -> DataLoader[Any]:
        """Batches of frozen values, read here: handing them from process to process takes longer."""
        return DataLoader(
            cells,
            batch_size=self.batch_size,
            sampler=views,
            collate_fn=_as_it_comes,
            pin_memory=torch.cuda.is_available(),
        )


def _sampling(rows: pd.DataFrame, balance: float, max_repeats: int) -> BalancedSampling:
    cells = rows.groupby(rows["source"] + " " + rows["label"])
    draws = BalancedSampling(cells.ngroup().tolist(), balance, max_repeats)
    told = [
        f"{cell} {images} -> {quota}"
        for cell, images, quota in zip(cells.groups, cells.size(), draws.quotas, strict=True)
    ]
    log.info("images of each lab and class -> draws in an epoch: %s", ", ".join(told))
    return draws


def _as_it_comes(batch: Any) -> Any:
    """A FrozenImages makes whole batches."""
    return batch
