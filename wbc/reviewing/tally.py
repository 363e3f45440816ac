"""The differential as it stands: the machine's, and what a person's decisions make of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wbc.metrics.shares import class_shares
from wbc.reviewing.cells import Cells
from wbc.reviewing.verdicts import OPEN

DISAGREED = -2  # where reviewers say different things of one cell


def tally(cells: Cells, verdicts: np.ndarray, among: np.ndarray | None = None) -> dict[str, Any]:
    """Plain values of the cells `among` (N,) bool, or of all.

    verdicts: (N,) a reviewer's, or those that all reviewers share.  `machine` counts predictions; `reviewed`
    counts the verdict where there is one and the prediction elsewhere, without artefacts and unknown cells;
    `seen` counts only cells with a verdict.
    """
    prediction = cells.prediction if among is None else cells.prediction[among]
    verdict = verdicts if among is None else verdicts[among]
    classes = len(cells.classes)
    decided = verdict >= 0
    mixed = np.where(decided, verdict, prediction)
    return {
        "cells": len(prediction),
        "decided": int(decided.sum()),
        "changed": int((decided & (verdict != prediction) & (verdict < classes)).sum()),
        "artefacts": int((verdict == classes).sum()),
        "unknown": int((verdict == classes + 1).sum()),
        "disagreed": int((verdict == DISAGREED).sum()),
        "machine": _shares(cells.classes, prediction),
        "reviewed": _shares(cells.classes, mixed),
        "seen": _shares(cells.classes, verdict[decided]),
    }


def shared_verdicts(verdicts: Sequence[np.ndarray], cells: int) -> np.ndarray:
    """(N,) of each cell what all say who said anything; DISAGREED where they say different things."""
    shared = np.full(cells, OPEN, np.int16)
    for one in verdicts:
        said = one != OPEN
        shared = np.where(
            said & (shared == OPEN),
            one,
            np.where(said & (shared != one) & (shared != OPEN), DISAGREED, shared),
        )
    return shared


def _shares(classes: Sequence[str], places: np.ndarray) -> dict[str, Any]:
    counts = np.bincount(places[places < len(classes)], minlength=len(classes))
    return class_shares(dict(zip(classes, counts.tolist(), strict=True)))
