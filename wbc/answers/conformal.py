"""Sets of classes that hold the true one as often as promised: split conformal prediction."""

from __future__ import annotations

import math

from torch import Tensor


def conformal_limit(probabilities: Tensor, labels: Tensor, coverage: float) -> float:
    """The largest 1 - p with which a class still belongs to a set (Sadinle 2019, least ambiguous sets).

    The ceil((N + 1) * coverage)-th smallest 1 - p(true class) of N images that the network was not trained
    on; new images of the same kind then have the true class in their set with that probability at least
    (Vovk 2005).  1, which lets every class in, where N is too small for the coverage.

    probabilities (N, C), labels (N,), coverage in (0, 1).
    """
    scores = 1 - probabilities.double().gather(1, labels[:, None])[:, 0]
    rank = math.ceil((len(scores) + 1) * coverage)
    return 1.0 if rank > len(scores) else scores.sort().values[rank - 1].item()
