"""Fits the forest of a second opinion on measured training cells, as they are."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wbc.answers.forest import Forest, Learning
from wbc.answers.second_opinion import SecondOpinion
from wbc.images.morphometry import NAMES, RINGS, SHAPES, measure
from wbc.loading.labelled_images import LabelledImages
from wbc.utils.machine import opencv_in_one_thread
from wbc.utils.progress import progress

log = logging.getLogger(__name__)

_IMAGES = 10_000  # that it is fitted on, at most


def fit_second_opinion(
    cells: LabelledImages, drawn: Sequence[bool], weight: float, workers: int, seed: int
) -> SecondOpinion | None:
    """Fitted on training `cells`; None, with a warning, where a class has real ones and none is measured.

    On the pictures as they are: by augmented ones, which are blurred and dyed, a forest learns limits that
    are right less often in other labs (docs/results/other_labs.md).
    drawn: which of the cells were drawn by wbc, beside real ones.
    """
    chosen = _chosen(torch.tensor(cells.labels), torch.tensor(drawn), seed)
    measured = _Measured(cells, chosen)
    loader = DataLoader(measured, batch_size=64, num_workers=workers, worker_init_fn=opencv_in_one_thread)
    bar = progress(loader, "measuring cells", "batch")
    samples, labels = (torch.cat(parts) for parts in zip(*bar, strict=True))
    there, real = ~samples.isnan().any(dim=1), ~torch.tensor(drawn)[chosen]
    if missing := sorted(set(labels[real].tolist()) - set(labels[there & real].tolist())):
        log.warning(
            "model.second_opinion: there is none, for no training picture of %s has a cell to measure",
            ", ".join(cells.classes[label] for label in missing),
        )
        return None
    log.info("second opinion: a forest on measurements of %d of %d cells", int(there.sum()), len(chosen))
    # Half of the trees see all, of real cells alone: drawings have no lab's stain.  The others see no colour
    # but what is relative to the nucleus, so that no stain can mislead them, and learn from drawings too.
    sturdy = [NAMES.index(name) for name in SHAPES + RINGS]
    learning = [Learning(range(len(NAMES)), real[there]), Learning(sturdy)]
    forest = Forest.fit(samples[there], labels[there], len(cells.classes), learning, seed)
    return SecondOpinion(weight, forest)


def _chosen(labels: Tensor, drawn: Tensor, seed: int) -> list[int]:
    """Rows of at most _IMAGES: of a class with few all, of the others as many as there is room for, real ones
    before drawn ones.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    order = order[drawn[order].long().argsort(stable=True)]
    rank = torch.empty_like(labels)  # of each among its class
    for label in labels.unique():
        mine = labels[order] == label
        rank[mine] = torch.arange(int(mine.sum()))
    return order[rank.argsort(stable=True)[:_IMAGES].sort().values].tolist()


class _Measured(Dataset[tuple[Tensor, Tensor]]):
    """Measurements (36,) float32 and label of each of `rows`; NaN without a cell."""

    def __init__(self, cells: LabelledImages, rows: Sequence[int]) -> None:
        self.cells = cells
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = self.rows[index]
        values = measure(self.cells.images[row])
        nothing = torch.full((len(NAMES),), torch.nan)
        return nothing if values is None else torch.from_numpy(values), torch.tensor(self.cells.labels[row])
