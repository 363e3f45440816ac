"""Which views of which images an epoch looks at, and in which order."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.utils.data import Sampler


class View(NamedTuple):
    """One look at one image: the epoch decides the augmentation."""

    image: int  # row of the data set
    epoch: int
    counted: bool = True


class Views(Sampler[View]):
    """The views of one epoch for one of `ranks` processes, all of equal number so that none waits.

    Shuffled orders depend on seed and epoch alone; epochs are counted from `first_epoch`.  Where the images
    do not divide by the processes, the first ones are seen again: in training they count, in evaluation they
    are marked as not counted.
    """

    def __init__(
        self,
        images: int,
        *,
        shuffle: bool,
        seed: int = 0,
        first_epoch: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.images = images
        self.shuffle = shuffle
        self.seed = seed
        self.first_epoch = first_epoch
        self.rank = rank
        self.ranks = ranks
        self.epoch = first_epoch

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch of a fit, after a resume too."""
        self.epoch = self.first_epoch + epoch

    def __len__(self) -> int:
        return math.ceil(self.images / self.ranks)

    def __iter__(self) -> Iterator[View]:
        order = torch.arange(self.images)
        if self.shuffle:
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, self.epoch))
            order = torch.randperm(self.images, generator=generator)
        for place in range(self.rank, len(self) * self.ranks, self.ranks):
            real = place < self.images
            yield View(int(order[place % self.images]), self.epoch, counted=real or self.shuffle)


def mixed_seed(*parts: int) -> int:
    """One 32-bit seed out of several numbers, so that (seed 0, epoch 1) is not (seed 1, epoch 0)."""
    return zlib.crc32(repr(parts).encode())
