"""What the size of a nucleus says of its class, in red cells, which are 7 to 8 um across in every lab.

Where cells are brought to one size, as for other labs, a network does not see how large they were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_WIDER = 1.3  # than the training cells scatter: another lab's smears are thicker or thinner
_SMOOTHING = 0.05  # of the best a size can say; the outline of a nucleus may be wrong
_FEWEST = 5  # cells of a class, for how they scatter


@dataclass(frozen=True)
class SizeOpinion:
    """means, deviations: of the log of the nucleus's diameter over that of red cells, for each class."""

    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def logits(self, sizes: Sequence[float]) -> np.ndarray:
        """What is added to the logits, (N, C) float32, of N sizes in diameters of a red cell.

        At most 0: a class whose nuclei are so large loses nothing, and where none are, all lose alike, which
        raises an outlier score of logits.  Without red cells (NaN) none loses anything.
        """
        logs = np.log(np.asarray(sizes, np.float64))[:, None]
        away = (logs - np.array(self.means)) / np.array(self.deviations)
        said = np.log((1 - _SMOOTHING) * np.exp(-(away**2) / 2) + _SMOOTHING)
        return np.asarray(np.where(np.isnan(logs), 0, said), np.float32)

    def state(self) -> dict[str, Any]:
        """Plain numbers, as a checkpoint may hold them."""
        return {"means": list(self.means), "deviations": list(self.deviations)}

    @classmethod
    def from_state(cls, state: dict[str, Any], classes: int) -> SizeOpinion:
        """What `state` told.  Raises KeyError, TypeError or ValueError for anything else."""
        opinion = cls(tuple(state["means"]), tuple(state["deviations"]))
        for name, values in vars(opinion).items():
            if len(values) != classes or not all(type(one) is float and math.isfinite(one) for one in values):
                raise ValueError(f"size_opinion.{name} {values!r}: expected {classes} numbers"[:200])
        if min(opinion.deviations) <= 0:
            raise ValueError(f"size_opinion.deviations {opinion.deviations}: expected numbers above 0"[:200])
        return opinion


def fit_size_opinion(sizes: np.ndarray, labels: np.ndarray, classes: int) -> SizeOpinion | None:
    """Of sizes (N,) in diameters of a red cell, NaN where not measured, and labels (N,) of `classes`.

    None where a class has too few that are measured.
    """
    measured = ~np.isnan(sizes)
    logs = [np.log(sizes[measured & (labels == label)]) for label in range(classes)]
    if min(map(len, logs)) < _FEWEST:
        return None
    floor = np.finfo(np.float32).eps
    return SizeOpinion(
        tuple(float(one.mean()) for one in logs),
        tuple(max(_WIDER * float(one.std(ddof=1)), float(floor)) for one in logs),
    )
