"""Two limits between three kinds of pixels, as field, red cells and nuclei are (Otsu 1979).

Free of torch: worker processes import it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def limits_between_three(counts: np.ndarray) -> tuple[int, int]:
    """The levels that part a histogram (L,) into three kinds of least variance; each ends its kind."""
    share, total = np.cumsum(counts), np.cumsum(counts * np.arange(len(counts)))
    low, high = _pairs(len(counts) - 1)
    between = (
        _squared(share[low], total[low])
        + _squared(share[high] - share[low], total[high] - total[low])
        + _squared(share[-1] - share[high], total[-1] - total[high])
    )
    best = int(between.argmax())
    return int(low[best]), int(high[best])


@lru_cache(maxsize=4)
def _pairs(levels: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(levels, 1)


def _squared(share: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.asarray(total**2 / np.maximum(share, 1e-9))
