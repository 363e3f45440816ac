"""Which draws of which images an epoch looks at, and in which order."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.utils.data import Sampler

from wbc.loading.balance import BalancedSampling


class Draw(NamedTuple):
    """One random copy of one image: the epoch decides the augmentation."""

    image: int  # row of the data set
    epoch: int
    counted: bool = True
    repeat: int = 0  # how often the epoch has taken it before: each time it is another draw of it


class EpochSampler(Sampler[Draw]):
    """The draws of one epoch for one of `ranks` processes, all of equal number so that none waits.

    Shuffled orders depend on seed and epoch alone; epochs are counted from `first_epoch`.  With `sampling` a
    shuffled epoch has some images more often than others.  Where the images do not divide by the processes,
    the first ones are seen again: in training they count, in evaluation they are marked as not counted.
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
        sampling: BalancedSampling | None = None,
    ) -> None:
        self.images = images
        self.shuffle = shuffle
        self.seed = seed
        self.first_epoch = first_epoch
        self.rank = rank
        self.ranks = ranks
        self.sampling = sampling
        self.epoch = first_epoch

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch of a fit, after a resume too."""
        self.epoch = self.first_epoch + epoch

    def __len__(self) -> int:
        return math.ceil(self.images / self.ranks)

    def __iter__(self) -> Iterator[Draw]:
        order = torch.arange(self.images)
        repeats = torch.zeros(self.images, dtype=torch.int64)
        if self.shuffle:
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, self.epoch))
            if self.sampling is not None:
                order, repeats = self.sampling.sample(generator).unbind(dim=1)
            else:
                order = torch.randperm(self.images, generator=generator)
        for place in range(self.rank, len(self) * self.ranks, self.ranks):
            real = place < self.images
            image, repeat = int(order[place % self.images]), int(repeats[place % self.images])
            yield Draw(image, self.epoch, counted=real or self.shuffle, repeat=repeat)


def mixed_seed(*parts: int) -> int:
    """One 32-bit seed out of several numbers, so that (seed 0, epoch 1) is not (seed 1, epoch 0)."""
    return zlib.crc32(repr(parts).encode())
