"""All that the server of the page knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wbc.reviewing.cells import Cells
from wbc.reviewing.decisions import Decisions
from wbc.reviewing.explanations import Explanations
from wbc.reviewing.order import review_order
from wbc.reviewing.pictures import Pictures
from wbc.reviewing.settling import Settling


@dataclass
class Review:
    """about: facts for the exports; proposed: a name for the reviewer."""

    cells: Cells
    decisions: Decisions
    pictures: Pictures
    explanations: Explanations
    settling: Settling
    folder: Path
    about: dict[str, Any]
    proposed: str
    predictions: str  # the hash of the table
    orders: dict[str, np.ndarray] = field(default_factory=dict)

    def order(self, name: str) -> np.ndarray:
        """(N,) cells, computed once."""
        if name not in self.orders:
            self.orders[name] = review_order(self.cells, name)
        return self.orders[name]
