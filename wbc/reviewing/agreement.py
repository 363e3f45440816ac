"""How far reviewers agree: share and Cohen's kappa of each pair, on the cells that both decided."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from wbc.metrics.intervals import exact_interval
from wbc.reviewing.verdicts import OPEN


def agreement(verdicts: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Plain values for each pair of reviewers that have a cell in common.

    verdicts: of each reviewer, (N,).  kappa (Cohen 1960) is None where both always said one and the same:
    then chance agrees fully too.
    """
    pairs = []
    for first, second in itertools.combinations(sorted(verdicts), 2):
        both = (verdicts[first] != OPEN) & (verdicts[second] != OPEN)
        count = int(both.sum())
        if not count:
            continue
        a, b = verdicts[first][both], verdicts[second][both]
        same = int((a == b).sum())
        share, low, high = exact_interval(same, count)
        several = len(np.union1d(a, b)) > 1
        pairs.append(
            {
                "reviewers": [first, second],
                "cells": count,
                "same": same,
                "share": share,
                "low": low,
                "high": high,
                "kappa": float(cohen_kappa_score(a, b)) if several else None,
            }
        )
    return pairs
