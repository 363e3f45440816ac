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

import torch
from torch import Tensor

from wbc.answers.forest import Forest
from wbc.images.morphometry import NAMES
from wbc.plain.second_opinion import opinion


@dataclass(frozen=True)
class SecondOpinion:
    """weight: of the logarithm of the forest's probabilities beside the network's logits."""

    weight: float
    forest: Forest

    def logits(self, pixels: Tensor) -> Tensor:
        """What is added to the network's logits, (N, C) on the CPU, of the (N, 3, S, S) of 0..255 it sees."""
        images = pixels.round().to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        return torch.from_numpy(opinion(images, self.weight, self.forest.arrays))

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
