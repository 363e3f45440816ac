"""In which order cells are looked at: first those whose label most likely moves the differential."""

from __future__ import annotations

import numpy as np

from wbc.reviewing.cells import Cells

DOUBT, CLASS, FILE = "doubt", "class", "file"
ORDERS = (DOUBT, CLASS, FILE)


def review_order(cells: Cells, order: str = DOUBT) -> np.ndarray:
    """(N,) the cells, first to look at first.

    doubt: what is not answered before what is, and in both the riskiest first.  class: class by class, and
    each by doubt.  file: as the table has them.
    """
    if order == FILE:
        return np.arange(len(cells))
    keys = [-risk(cells), cells.answered]
    return np.lexsort([*keys, cells.prediction] if order == CLASS else keys)


def risk(cells: Cells) -> np.ndarray:
    """(N,) by how much the differential is expected to move once a cell is looked at.

    A cell of prediction p that is of class c in truth moves the shares of both; a share is counted in units
    of its own standard error, which goes as the square root of the count, so that rare classes come first.
    """
    expected = np.maximum(cells.probabilities.sum(axis=0, dtype=np.float64), 1.0)  # (C,) cells of each class
    unit = 1 / np.sqrt(expected)
    others = cells.probabilities @ unit  # of the class that it may be
    own = cells.confidence
    return (1 - own) * unit[cells.prediction] + others - own * unit[cells.prediction]
