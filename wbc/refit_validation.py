"""Cross-validation of a refitted head: how firmly to hold it to the old one, and whether it helps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from wbc.calibration import fit_temperature
from wbc.head_refit import refit
from wbc.network import Head

_INNER_FOLDS = 3  # that choose, inside each that measures: as many as time allows


class LabCells(NamedTuple):
    """Features (N, V, D) of N cells in V views, the first of which is the cell as it lies; labels (N,).

    added (N, V, C): what is added to a head's logits, as by a second opinion.
    """

    views: Tensor
    labels: Tensor
    added: Tensor

    def part(self, rows: Tensor) -> LabCells:
        """The cells where rows (N,) is true."""
        return LabCells(*(values[rows] for values in self))

    def logits(self, head: Head) -> Tensor:
        """(N, C) of the cells as they lie."""
        return head(self.views[:, 0]) + self.added[:, 0]


class Settled(NamedTuple):
    """How a head settles into a lab.

    strength: how firmly it is to be held to the old one; infinite: it stays.  logits (N, C): each cell's by a
    head of that strength refitted without it.  honest (N, C): by a head of which even the strength was chosen
    without it; `chosen` are those strengths, one a fold.
    """

    strength: float
    logits: Tensor
    honest: Tensor
    chosen: list[float]


def settle(head: Head, cells: LabCells, strengths: Sequence[float], count: int, seed: int) -> Settled:
    """Cross-validate the refitting of `head` to `cells`: outer folds measure, folds inside them choose.

    A figure from the folds that chose would flatter (Stone 1974; Varma & Simon 2006).  strengths: falling;
    an infinite one, the old head, is tried besides.  count: of folds, fewer where no class has as many cells.
    Raises ValueError where no class has two cells.
    """
    candidates = [math.inf, *strengths]
    count = min(count, int(torch.bincount(cells.labels).max()))
    if count < 2:
        raise ValueError("no class has two cells: none can be held out")
    folds = stratified_folds(cells.labels, count, seed)
    honest = torch.empty(len(cells.labels), head.kernels[-1].out_features)
    chosen = []
    for fold in tqdm(folds.unique(), "cross-validating", unit="fold"):
        inside = cells.part(folds != fold)
        inner = out_of_fold(head, inside, candidates, stratified_folds(inside.labels, _INNER_FOLDS, seed))
        strength = candidates[choose(inner, inside.labels)]
        honest[folds == fold] = cells.part(folds == fold).logits(refitted(head, inside, strength))
        chosen.append(strength)
    logits = out_of_fold(head, cells, candidates, folds)
    best = choose(logits, cells.labels)
    return Settled(candidates[best], logits[best], honest, chosen)


def stratified_folds(labels: Tensor, count: int, seed: int) -> Tensor:
    """Fold numbers (N,): every class, and the whole, spread as evenly as can be.

    Not scikit-learn's StratifiedKFold, which warns of each class with fewer cells than folds and refuses
    where all are so: among a few cells of a new lab that is usual.
    """
    folds = torch.empty_like(labels)
    mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    folds[mixed[labels[mixed].argsort(stable=True)]] = torch.arange(len(labels)) % count
    return folds


def out_of_fold(head: Head, cells: LabCells, strengths: Sequence[float], folds: Tensor) -> Tensor:
    """(S, N, C) logits of each cell by heads of each strength that were refitted without its fold."""
    logits = torch.empty(len(strengths), len(cells.labels), head.kernels[-1].out_features)
    for fold in folds.unique():
        out = folds == fold
        for row, strength in zip(logits, strengths, strict=True):
            row[out] = cells.part(out).logits(refitted(head, cells.part(~out), strength))
    return logits


def refitted(head: Head, cells: LabCells, strength: float) -> Head:
    """`head` refitted to all views of `cells`."""
    labels = cells.labels.repeat_interleave(cells.views.shape[1])
    return refit(head, cells.views.flatten(0, 1), labels, strength, cells.added.flatten(0, 1))


def choose(logits: Tensor, labels: Tensor) -> int:
    """Which of S candidates has the least loss; of equal ones the first.

    logits (S, N, C) out of fold.  The loss is the cross-entropy at each candidate's own best temperature, for
    that is fitted afterwards: to be better calibrated alone is no merit.  The firmest within a standard error
    of the least (Breiman 1984) was tried: three points of accuracy worse on other cells of a real lab.
    """
    return int(torch.stack([cell_losses(one, labels).mean() for one in logits]).argmin())


def cell_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each cell (N,) float64 at the temperature that suits these cells best."""
    exact = logits.double()
    return F.cross_entropy(exact / fit_temperature(exact, labels), labels, reduction="none")
