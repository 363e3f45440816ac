"""Cross-validation of a refitted head: what it says of cells that it has not seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wbc.adapting.refit import refit
from wbc.answers.temperature import fit_temperature
from wbc.network.network import Head
from wbc.utils.progress import progress


class LabCells(NamedTuple):
    """Features (N, K, D) of N cells in K turned copies, of which the first is as it lies; labels (N,).

    added (N, K, C): what is added to a head's logits, as by a second opinion.
    """

    features: Tensor
    labels: Tensor
    added: Tensor

    def part(self, rows: Tensor) -> LabCells:
        """The cells where rows (N,) is true."""
        return LabCells(*(values[rows] for values in self))

    def logits(self, head: Head) -> Tensor:
        """(N, C) of the cells as they lie."""
        return head(self.features[:, 0]) + self.added[:, 0]


def out_of_fold(
    head: Head,
    cells: LabCells,
    strength: float,
    count: int,
    seed: int,
    photographs: Tensor | None = None,
) -> Tensor:
    """(N, C) logits of each cell by a `head` that was refitted without it and those of its photograph.

    count: of folds, fewer where no class has as many cells.
    photographs: that of each cell as a number (N,), 0 and up; None where no two cells share one.
    Raises ValueError where no class has two cells that could be parted, and as `refit`.
    """
    if photographs is None:
        photographs = torch.arange(len(cells.labels))
    # A photograph is dealt to a fold by its first cell: most hold one white cell.
    firsts = torch.from_numpy(np.unique(photographs.numpy(), return_index=True)[1])
    count = min(count, int(torch.bincount(cells.labels[firsts]).max()))
    if count < 2:
        raise ValueError("no class has two cells in different images: none can be held out")
    folds = stratified_folds(cells.labels[firsts], count, seed)[photographs]
    logits = torch.empty(len(cells.labels), head.kernels[-1].out_features)
    for fold in progress(range(count), "cross-validating", "fold"):
        out = folds == fold
        logits[out] = cells.part(out).logits(refitted(head, cells.part(~out), strength))
    return logits


def stratified_folds(labels: Tensor, count: int, seed: int) -> Tensor:
    """Fold numbers (N,): every class, and the whole, spread as evenly as can be.

    Not scikit-learn's StratifiedKFold, which warns of each class with fewer cells than folds and refuses
    where all are so: among a few cells of a new lab that is usual.
    """
    folds = torch.empty_like(labels)
    mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    folds[mixed[labels[mixed].argsort(stable=True)]] = torch.arange(len(labels)) % count
    return folds


def refitted(head: Head, cells: LabCells, strength: float) -> Head:
    """`head` refitted to all copies of `cells`."""
    labels = cells.labels.repeat_interleave(cells.features.shape[1])
    return refit(head, cells.features.flatten(0, 1), labels, strength, cells.added.flatten(0, 1))


def cell_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each cell (N,) float64 at the temperature that suits these cells best."""
    exact = logits.double()
    return F.cross_entropy(exact / fit_temperature(exact, labels), labels, reduction="none")
