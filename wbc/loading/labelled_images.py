"""Cells as data sets: images with labels, or the frozen part's values in place of the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from wbc.loading.activations import ActivationStore
from wbc.loading.augment import Augment
from wbc.loading.decoded import DecodedImages
from wbc.loading.epoch_sampler import View

PADDING = -1  # label of a row that only fills up the last distributed batch and must not be counted


class Batch(NamedTuple):
    """images (N, 3, H, W) uint8, labels (N,) int64 with PADDING, indices (N,) int64 into the data set."""

    images: Tensor
    labels: Tensor
    indices: Tensor


class FrozenBatch(NamedTuple):
    """values (N, ...) of the network's frozen part, labels (N,) int64 with PADDING, indices (N,) int64."""

    values: Tensor
    labels: Tensor
    indices: Tensor


class Cells(Dataset[Batch]):
    """Square uint8 images with their labels; augmented where `augment` is given."""

    def __init__(
        self,
        images: DecodedImages,
        labels: Sequence[str],
        classes: Sequence[str],
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        self.images = images
        self.classes = list(classes)
        self.labels = [self.classes.index(label) for label in labels]
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, view: View) -> Batch:
        image = self.images[view.image]
        if self.augment is not None:
            again = (view.repeat,) if view.repeat else ()
            image = self.augment(image, self.seed, view.epoch, view.image, *again)
        label = self.labels[view.image] if view.counted else PADDING
        # A batch without its first dimension; the loader's collate function stacks the fields.
        return Batch(torch.from_numpy(image).permute(2, 0, 1), torch.tensor(label), torch.tensor(view.image))


class FrozenCells(Dataset[FrozenBatch]):
    """The same cells as their frozen values, `views` of each in turn, read a batch at a time."""

    def __init__(self, cells: Cells, store: ActivationStore, views: int) -> None:
        self.labels = torch.tensor(cells.labels)
        self.store = store
        self.views = views

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, views: Sequence[View]) -> FrozenBatch:
        """What the loader asks for in place of single items."""
        images = torch.tensor([view.image for view in views])
        rows = [((view.epoch + view.repeat) % self.views) * len(self) + view.image for view in views]
        counted = torch.tensor([view.counted for view in views])
        return FrozenBatch(self.store.get(rows), self.labels[images].where(counted, PADDING), images)
