"""Images as data sets: images with labels, or the frozen part's values in place of the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from wbc.loading.activations import ActivationStore
from wbc.loading.augment import Augment
from wbc.loading.decoded import DecodedImages
from wbc.loading.epoch_sampler import Draw

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


class LabelledImages(Dataset[Batch]):
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

    def __getitem__(self, draw: Draw) -> Batch:
        image = self.images[draw.image]
        if self.augment is not None:
            again = (draw.repeat,) if draw.repeat else ()
            image = self.augment(image, self.seed, draw.epoch, draw.image, *again)
        label = self.labels[draw.image] if draw.counted else PADDING
        # A batch without its first dimension; the loader's collate function stacks the fields.
        return Batch(torch.from_numpy(image).permute(2, 0, 1), torch.tensor(label), torch.tensor(draw.image))


class FrozenImages(Dataset[FrozenBatch]):
    """The same images as their frozen values, `draws` of each in turn, read a batch at a time."""

    def __init__(self, images: LabelledImages, store: ActivationStore, draws: int) -> None:
        self.labels = torch.tensor(images.labels)
        self.store = store
        self.draws = draws

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, draws: Sequence[Draw]) -> FrozenBatch:
        """What the loader asks for in place of single items."""
        images = torch.tensor([draw.image for draw in draws])
        rows = [((draw.epoch + draw.repeat) % self.draws) * len(self) + draw.image for draw in draws]
        counted = torch.tensor([draw.counted for draw in draws])
        return FrozenBatch(self.store.get(rows), self.labels[images].where(counted, PADDING), images)
