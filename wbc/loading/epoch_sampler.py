"""Which draws of which images an epoch looks at, and in which order."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor
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

    Shuffled orders depend on seed and epoch alone; epochs are counted from `first_epoch`.  A shuffled epoch
    goes through the images `passes` times, each time in another order; with `sampling` it has some images
    more often than others.  Where the draws do not divide by the processes, the first ones are seen again: in
    training they count, in evaluation they are marked as not counted.
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
        passes: int = 1,
    ) -> None:
        self.images = images
        self.shuffle = shuffle
        self.seed = seed
        self.first_epoch = first_epoch
        self.rank = rank
        self.ranks = ranks
        self.sampling = sampling
        self.passes = passes if shuffle else 1
        self.epoch = first_epoch

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch of a fit, after a resume too."""
        self.epoch = self.first_epoch + epoch

    def __len__(self) -> int:
        return math.ceil(self.passes * self.images / self.ranks)

    def __iter__(self) -> Iterator[Draw]:
        order, repeats = self._order().unbind(dim=1)
        for place in range(self.rank, len(self) * self.ranks, self.ranks):
            real = place < len(order)
            image, repeat = int(order[place % len(order)]), int(repeats[place % len(order)])
            yield Draw(image, self.epoch, counted=real or self.shuffle, repeat=repeat)

    def _order(self) -> Tensor:
        """(draws, 2) int64: image, and how often this epoch has taken it before."""
        if not self.shuffle:
            return torch.stack(
                [torch.arange(self.images), torch.zeros(self.images, dtype=torch.int64)], dim=1
            )
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, self.epoch))
        taken = torch.zeros(self.images, dtype=torch.int64)
        orders = []
        for _ in range(self.passes):
            order = self._pass(generator)
            orders.append(torch.stack([order[:, 0], taken[order[:, 0]] + order[:, 1]], dim=1))
            taken += torch.bincount(order[:, 0], minlength=self.images)
        return torch.cat(orders)

    def _pass(self, generator: Generator) -> Tensor:
        if self.sampling is not None:
            return self.sampling.sample(generator)
        return _first_time(torch.randperm(self.images, generator=generator))


def _first_time(order: Tensor) -> Tensor:
    return torch.stack([order, torch.zeros_like(order)], dim=1)


def mixed_seed(*parts: int) -> int:
    """One 32-bit seed out of several numbers, so that (seed 0, epoch 1) is not (seed 1, epoch 0)."""
    return zlib.crc32(repr(parts).encode())
