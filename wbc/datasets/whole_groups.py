"""Whole groups taken out of a training set: of every class as near to the wanted share as groups allow."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

log = logging.getLogger(__name__)

_MAX_ORDERS = 200  # in which groups are offered; of them the best counts
_MAX_OFFERS = 400_000  # over all orders: 1 s, also with a group an image
_MISSING = 1.0  # counts a class without an image as this far from its share, farther than any share is
_NEARLY_ALL = 0.8  # of a class in one group: the other side of a split has next to nothing of it


def take_groups(labels: pd.Series, units: pd.Series, fraction: float, keep: int, seed: int) -> pd.Index:
    """Rows of whole units, about `fraction` of each class, and at least one unit of each that can spare it.

    units: a number a row, equal for what must stay together.  keep: units of every class that must be left,
    where it has as many.  Units are offered in many sampled orders, each taken that brings the shares nearer;
    StratifiedGroupKFold, which deals the units out by their classes, gives every seed the same folds, leaves
    shares of a half of what is wanted, and none of a class of two slides.
    """
    table = pd.crosstab(units, labels)
    counts = table.to_numpy()
    shares = counts / counts.sum(axis=0)
    offers = [[(int(one), float(row[one])) for one in np.flatnonzero(row)] for row in shares]
    spare = (counts > 0).sum(axis=0) - keep
    generator = np.random.default_rng(seed)
    best: list[int] = []
    least = np.inf
    for _ in range(max(1, min(_MAX_ORDERS, _MAX_OFFERS // len(offers)))):
        taken, far = _taken_in_order(generator.permutation(len(offers)), offers, spare, fraction)
        if far < least:
            best, least = taken, far
    return units.index[units.isin(table.index[best])]


def _taken_in_order(
    order: np.ndarray, offers: list[list[tuple[int, float]]], spare: np.ndarray, fraction: float
) -> tuple[list[int], float]:
    """The units that are taken, and the sum over the classes of how far their shares are then."""
    can_spare = spare.tolist()
    got = [0.0] * len(can_spare)
    taken = []
    for unit in order.tolist():
        offer = offers[unit]
        if any(can_spare[one] <= 0 for one, _ in offer):
            continue
        nearer = sum(_far(got[one], fraction) - _far(got[one] + share, fraction) for one, share in offer)
        if nearer > 0:
            taken.append(unit)
            for one, share in offer:
                got[one] += share
                can_spare[one] -= 1
    return taken, sum(_far(share, fraction) for share in got)


def _far(share: float, fraction: float) -> float:
    return abs(share - fraction) if share else fraction + _MISSING


def warn_of_uneven_shares(
    pool: pd.DataFrame, units: pd.Series, splits: pd.Series, wanted: Mapping[str, float]
) -> None:
    """Says of which classes one group holds nearly all, or a split far from the share that was wanted.

    pool: the rows that were shared out, with label, group and path.  splits: what became of each.
    wanted: split -> share.  Splits without a class are told by whoever took them.
    """
    for label in sorted(pool["label"].unique()):
        of_class = units[pool.index[pool["label"] == label]]
        sizes = of_class.value_counts()
        shares = splits[of_class.index].value_counts(normalize=True)
        uneven = [
            name for name, share in wanted.items() if not share / 2 <= shares.get(name, share) <= 2 * share
        ]
        if not wanted or not (uneven or sizes.iloc[0] >= _NEARLY_ALL * len(of_class)):
            continue
        first = of_class.index[of_class == sizes.index[0]][0]
        told = ", ".join(f"{100 * shares.get(name, 0):.0f} % in {name}" for name in ("train", *wanted))
        log.warning(
            "%s, by groups: %s, where %s were wanted. Groups stay whole, and of its %d the largest, %s, "
            "holds %.0f %% and lies in %s: what is told of this class rests on few groups; give more",
            *(label, told, ", ".join(f"{100 * share:.0f} % in {name}" for name, share in wanted.items())),
            *(len(sizes), pool["group"][first] or pool["path"][first]),
            *(100 * sizes.iloc[0] / len(of_class), splits[first]),
        )
