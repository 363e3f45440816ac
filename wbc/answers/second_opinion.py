"""A second opinion on each cell: a forest of trees on its measurements, joined with what the network says.

Networks lean on texture and colour, which differ from lab to lab; the shape of a nucleus does not, and trees
that ask for thresholds go less astray than a network where a colour is one that they never saw.  The two err
in different places.  Answers are of the product of their probabilities: where they disagree no class has much
of it, so that fewer of such cells are answered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wbc.answers.forest import Forest
from wbc.images.morphometry import NAMES, measure

_SMOOTHING = 0.1  # share of the forest's opinion spread over all classes: it too may err


@dataclass(frozen=True)
class SecondOpinion:
    """weight: of the logarithm of the forest's probabilities beside the network's logits."""

    weight: float
    forest: Forest

    def logits(self, pixels: Tensor) -> Tensor:
        """What is added to the network's logits, (N, C) on the CPU, of the (N, 3, S, S) of 0..255 it sees.

        At most 0: a class that the forest expects too loses little.  Where no cell is found, all lose alike,
        which leaves probabilities as they are and raises an outlier score of logits.
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
