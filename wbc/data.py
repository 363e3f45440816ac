"""From the manifest to batches: the data set of decoded cells, the order of views, the data module."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import pandas as pd
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from wbc.augment import Augment
from wbc.images import decode, resize
from wbc.manifest import used_rows

PADDING = -1  # label of a row that only fills up the last distributed batch and must not be counted


class View(NamedTuple):
    """One look at one image: the epoch decides the augmentation."""

    image: int  # row of the data set
    epoch: int
    counted: bool = True


class Batch(NamedTuple):
    """images (N, 3, H, W) uint8, labels (N,) int64 with PADDING, indices (N,) int64 into the data set."""

    images: Tensor
    labels: Tensor
    indices: Tensor


class Cells(Dataset[Batch]):
    """Images of a manifest's rows, resized to a square, as uint8; augmented where `augment` is given."""

    def __init__(
        self,
        rows: pd.DataFrame,
        classes: Sequence[str],
        image_size_px: int,
        augment: Augment | None = None,
        seed: Sequence[int] = (),
    ) -> None:
        self.paths = rows["path"].tolist()
        self.classes = list(classes)
        self.labels = [self.classes.index(label) for label in rows["label"]]
        self.image_size_px = image_size_px
        self.augment = augment
        self.seed = tuple(seed)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, view: View) -> Batch:
        image = resize(decode(self.paths[view.image]), self.image_size_px)
        if self.augment is not None:
            image = self.augment(image, *self.seed, view.epoch, view.image)
        label = self.labels[view.image] if view.counted else PADDING
        # A batch without its first dimension; the loader's collate function stacks the fields.
        return Batch(torch.from_numpy(image).permute(2, 0, 1), torch.tensor(label), torch.tensor(view.image))


class Views(Sampler[View]):
    """The views of one epoch for one of `ranks` processes, all of equal number so that none waits.

    Shuffled orders depend on seed and epoch alone.  Where the images do not divide by the processes, the
    first ones are seen again: in training they count, in evaluation they are marked as not counted.
    """

    def __init__(
        self, images: int, *, shuffle: bool, seed: Sequence[int], rank: int = 0, ranks: int = 1
    ) -> None:
        self.images = images
        self.shuffle = shuffle
        self.seed = tuple(seed)
        self.rank = rank
        self.ranks = ranks
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch, after a resume too."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.images / self.ranks)

    def __iter__(self) -> Iterator[View]:
        order = torch.arange(self.images)
        if self.shuffle:
            generator = torch.Generator().manual_seed(mixed_seed(*self.seed, self.epoch))
            order = torch.randperm(self.images, generator=generator)
        for place in range(self.rank, len(self) * self.ranks, self.ranks):
            real = place < self.images
            yield View(int(order[place % self.images]), self.epoch, counted=real or self.shuffle)


def mixed_seed(*parts: int) -> int:
    """One 32-bit seed out of several numbers, so that (seed 0, epoch 1) is not (seed 1, epoch 0)."""
    return zlib.crc32(repr(parts).encode())


def default_workers() -> int:
    """Loader processes where none are asked for: a core is left to the training process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores - 1, 16))


class CellData(LightningDataModule):
    """Loaders over a manifest; `evaluated` names the sets of the evaluation loader, validation first."""

    def __init__(
        self,
        manifest: pd.DataFrame,
        classes: Sequence[str],
        image_size_px: int,
        batch_size: int,
        augment: Augment,
        seed: int,
        workers: int | None = None,
    ) -> None:
        super().__init__()
        used = used_rows(manifest)
        self.rows: dict[str, pd.DataFrame] = {
            name: used[used["split"] == name] for name in sorted(set(used["split"]))
        }
        self.evaluated = ["val", *(split for split in self.rows if split.startswith("test"))]
        self.classes = list(classes)
        self.image_size_px = image_size_px
        self.batch_size = batch_size
        self.augment = augment
        self.seed = seed
        self.workers = default_workers() if workers is None else workers
        self.phase_number = 0

    def set_phase(self, number: int) -> None:
        """Each phase sees views and an order of its own."""
        self.phase_number = number

    def train_cells(self) -> Cells:
        """The augmented training images."""
        seed = (self.seed, self.phase_number)
        return Cells(self.rows["train"], self.classes, self.image_size_px, self.augment, seed)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Augmented training images, shuffled."""
        return self._loader(self.train_cells(), shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation images as they are."""
        return self._loader(Cells(self.rows["val"], self.classes, self.image_size_px), shuffle=False)

    def test_dataloader(self) -> list[DataLoader[Batch]]:
        """One loader for each of `evaluated`."""
        return [
            self._loader(Cells(self.rows[name], self.classes, self.image_size_px), shuffle=False)
            for name in self.evaluated
        ]

    def _loader(self, cells: Cells, *, shuffle: bool) -> DataLoader[Batch]:
        views = Views(
            len(cells),
            shuffle=shuffle,
            seed=(self.seed, self.phase_number),
            rank=self.trainer.global_rank if self.trainer else 0,
            ranks=self.trainer.world_size if self.trainer else 1,
        )
        return DataLoader(
            cells,
            batch_size=self.batch_size,
            sampler=views,
            num_workers=self.workers,
            persistent_workers=self.workers > 0 and shuffle,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_one_thread,
        )


def _one_thread(worker: int) -> None:
    """A loader process is one of several: OpenCV's own threads would fight for the same cores."""
    cv2.setNumThreads(0)
