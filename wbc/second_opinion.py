"""A second opinion on each cell: a forest of trees on its measurements, joined with what the network says.

Networks lean on texture and colour, which differ from lab to lab; the shape of a nucleus does not, and trees
that ask for thresholds go less astray than a network where a colour is one that they never saw.  The two err
in different places.  Answers are of the product of their probabilities: where they disagree no class has much
of it, so that fewer of such cells are answered.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from wbc.cores import opencv_in_one_thread
from wbc.forest import Forest
from wbc.morphometry import NAMES, SHAPES, measure
from wbc.views import View

if TYPE_CHECKING:
    from wbc.cells import Cells  # takes albumentations along, whose import takes a second

log = logging.getLogger(__name__)

_SMOOTHING = 0.1  # share of the forest's opinion spread over all classes: it too may err
_IMAGES, _VIEWS = 10_000, 2  # that it is fitted on at most, and of each


@dataclass(frozen=True)
class SecondOpinion:
    """weight: of the logarithm of the forest's probabilities beside the network's logits."""

    weight: float
    forest: Forest

    def logits(self, pixels: Tensor) -> Tensor:
        """What is added to the network's logits, (N, C) on the CPU, of the (N, 3, S, S) of 0..255 it sees.

        At most 0: a class that the forest expects too loses little.  Where no cell is found, all lose alike,
        which leaves probabilities as they are and makes the picture stranger to a score of logits.
        """
        images = pixels.round().to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        classes = self.forest.shares.shape[2]
        opinion = torch.full((len(images), classes), 1 / classes)
        measured = [measure(image) for image in images]
        there = [index for index, values in enumerate(measured) if values is not None]
        if there:
            samples = torch.from_numpy(np.stack([values for values in measured if values is not None]))
            opinion[there] = self.forest.probabilities(samples)
        return self.weight * ((1 - _SMOOTHING) * opinion + _SMOOTHING / classes).log()

    def state(self) -> dict[str, Any]:
        """Plain values and tensors, as a checkpoint may hold them."""
        return {"weight": float(self.weight), "forest": self.forest.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any], classes: int) -> SecondOpinion:
        """What `state` told.  Raises KeyError, TypeError or ValueError for anything else."""
        weight = state["weight"]
        if not isinstance(weight, float) or not 0 <= weight < math.inf:
            raise ValueError(f"a second opinion of weight {weight!r}"[:100])
        return cls(weight, Forest.from_state(state["forest"], len(NAMES), classes))


def fit_second_opinion(cells: Cells, weight: float, workers: int, seed: int) -> SecondOpinion | None:
    """Fitted on augmented views of training `cells`; None, with a warning, where a class is not measured."""
    chosen = _chosen(torch.tensor(cells.labels), seed)
    measured = _Measured(cells, [View(index, epoch) for index in chosen for epoch in range(_VIEWS)])
    loader = DataLoader(measured, batch_size=64, num_workers=workers, worker_init_fn=opencv_in_one_thread)
    bar = tqdm(loader, "measuring cells", unit="batch")
    samples, labels = (torch.cat(parts) for parts in zip(*bar, strict=True))
    there = ~samples.isnan().any(dim=1)
    if missing := sorted(set(cells.labels) - set(labels[there].tolist())):
        log.warning(
            "model.second_opinion: there is none, for no training picture of %s has a cell to measure",
            ", ".join(cells.classes[label] for label in missing),
        )
        return None
    log.info("second opinion: a forest on %d measured views of %d cells", int(there.sum()), len(chosen))
    every, shapes = range(len(NAMES)), [NAMES.index(name) for name in SHAPES]
    # Half of the trees see no colour: no stain can mislead them.
    forest = Forest.fit(samples[there], labels[there], len(cells.classes), [every, shapes], seed)
    return SecondOpinion(weight, forest)


def _chosen(labels: Tensor, seed: int) -> list[int]:
    """Rows of at most _IMAGES: of a class with few all, of the others as many as there is room for."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    rank = torch.empty_like(labels)  # of each among its class
    for label in labels.unique():
        mine = labels[order] == label
        rank[mine] = torch.arange(int(mine.sum()))
    return order[rank.argsort(stable=True)[:_IMAGES].sort().values].tolist()


class _Measured(Dataset[tuple[Tensor, Tensor]]):
    """Measurements (27,) float32 and label of each view; NaN without a cell."""

    def __init__(self, cells: Cells, views: list[View]) -> None:
        self.cells = cells
        self.views = views

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        cell = self.cells[self.views[index]]
        values = measure(cell.images.permute(1, 2, 0).contiguous().numpy())
        nothing = torch.full((len(NAMES),), torch.nan)
        return nothing if values is None else torch.from_numpy(values), cell.labels
