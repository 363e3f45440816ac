"""Whether one of two models is the better: McNemar's test on the same images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest


class McNemar(NamedTuple):
    """How many images both models, one alone or neither have right; p, two-sided, of models equally good."""

    both_right: int
    only_first: int
    only_second: int
    both_wrong: int
    p: float


def mcnemar_test(first_right: ArrayLike, second_right: ArrayLike) -> McNemar:
    """McNemar's test (1947), exact: images that one model alone has right are tosses of a fair coin.

    first_right, second_right: (N,) bool, image by image.  p is 1 where no image tells the models apart.
    Images are taken as independent: those of one smear are not, and p is then too small.
    Raises ValueError where the two are not as many, or not bool.
    """
    first, second = np.asarray(first_right), np.asarray(second_right)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"the models have {first.shape} and {second.shape} outcomes: expected one each an image"
        )
    if first.dtype != bool or second.dtype != bool:
        raise ValueError(f"outcomes are {first.dtype} and {second.dtype}: expected bool, true where right")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_first + only_second
    return McNemar(
        int((first & second).sum()),
        only_first,
        only_second,
        int((~first & ~second).sum()),
        float(binomtest(only_first, apart).pvalue) if apart else 1.0,
    )
