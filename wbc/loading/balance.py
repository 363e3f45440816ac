"""How often each class of each lab is sampled in an epoch: as it occurs, or nearer to equally often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor


def quotas(sizes: Sequence[int], balance: float, max_repeats: int) -> list[int]:
    """How often each stratum, a class of one lab, is sampled in an epoch with a sample for each image.

    A stratum of n images gets a share in proportion to n ** (1 - balance): 0 leaves each image its one, 1
    makes strata equal, 0.5 is the square root (Mahajan 2018).  No stratum gets more than max_repeats * n;
    what it may not have goes to the others in the same proportion.  Fractions go to the largest remainders.
    """
    counts = np.asarray(sizes, dtype=float)
    shares = counts ** (1 - balance)
    limits = max_repeats * counts
    drawn = np.zeros(len(counts))
    capped = np.zeros(len(counts), dtype=bool)
    while not capped.all():  # each round caps a stratum or is the last
        free = counts.sum() - limits[capped].sum()
        drawn = np.where(capped, limits, free * shares / shares[~capped].sum())
        over = ~capped & (drawn > limits)
        if not over.any():
            break
        capped |= over
    whole = np.floor(drawn + 1e-9)  # 2.9999999 is 3
    left = int(counts.sum() - whole.sum())
    whole[np.argsort(whole - drawn, kind="stable")[:left]] += 1
    return [int(number) for number in whole]


class BalancedSampling:
    """Samples the images of an epoch by `quotas`, each as often as others of its stratum or once less.

    strata: the stratum's number for each image.
    """

    def __init__(self, strata: Sequence[int], balance: float, max_repeats: int) -> None:
        numbers = torch.tensor(strata)
        self.members = [(numbers == stratum).nonzero().flatten() for stratum in numbers.unique().tolist()]
        self.quotas = quotas([len(images) for images in self.members], balance, max_repeats)

    def sample(self, generator: Generator) -> Tensor:
        """(samples, 2) int64 in random order: image, and how often this epoch has taken it before."""
        drawn = []
        for images, quota in zip(self.members, self.quotas, strict=True):
            order = images[torch.randperm(len(images), generator=generator)]
            places = torch.arange(quota)
            drawn.append(torch.stack([order[places % len(order)], places // len(order)], dim=1))
        whole = torch.cat(drawn)
        return whole[torch.randperm(len(whole), generator=generator)]
