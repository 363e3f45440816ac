"""How often each class occurs in a lab, and what that adds to a head refitted to evened-out cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from wbc.errors import ConfigError

STRENGTH = 0.5  # of the correction: the whole names rare cells less often than macro F1 bears
_SMALLEST_SHARE = 1e-3  # of a class; none would never be named
_ROUNDS = 200  # of expectation maximisation, which has settled long before


def mix_shift(mix: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """(C,) to add to the logits of a head that learnt each class of `labels` with the same weight.

    Half the logarithm of how much more often the lab has the class (docs/results/adapting.md).  0 for a class
    without cells, of which the head learnt nothing here.
    mix (C,): shares of the classes in the lab, summing to 1; labels (N,) of the cells it was refitted to;
    temperature: by which the head's logits are probabilities.
    """
    present = torch.bincount(labels, minlength=len(mix)) > 0
    ratio = mix.clamp_min(_SMALLEST_SHARE) * int(present.sum())
    return torch.where(present, STRENGTH * temperature * ratio.log(), 0.0)


def estimated_mix(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """(C,) shares of the classes among M unlabelled images, by expectation maximisation (Saerens 2002).

    Each class has one image more than was found, so that none is impossible.  A class without cells has a
    share of 0: how readily this head names it, they do not tell.
    logits (M, C) of the images by a head that learnt each class of `labels` (N,) with the same weight.
    """
    learnt = labels.unique()
    likelihoods = (logits[:, learnt].double() / temperature).softmax(dim=1)
    mix = torch.full((len(learnt),), 1 / len(learnt), dtype=torch.float64)
    for _ in range(_ROUNDS):
        shares = likelihoods * mix
        shares = shares / shares.sum(dim=1, keepdim=True)
        mix = (shares.sum(dim=0) + 1) / (len(shares) + len(mix))
    return torch.zeros(logits.shape[1], dtype=torch.float64).index_put((learnt,), mix)


def given_mix(shares: Mapping[str, float], classes: Sequence[str]) -> Tensor:
    """(C,) shares of `classes`, summing to 1, of those that a user gave in any unit; 0 for a class not named.

    Raises ConfigError for a class that the model does not have.
    """
    if unknown := [name for name in shares if name not in classes]:
        raise ConfigError(
            f"mix names {', '.join(unknown)}, which the model does not know; its classes are "
            f"{', '.join(classes)}"
        )
    given = torch.tensor([float(shares.get(name, 0)) for name in classes], dtype=torch.float64)
    return given / given.sum()
