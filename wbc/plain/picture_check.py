"""Pictures that are no crop of one cell, or in false colours: a promise does not hold of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wbc.images.picture_marks import PictureMarks
from wbc.images.prepare import Prepare

# Statuses, beside those of `wbc.answers.rule`.
SEVERAL_CELLS = "not one cell"
SWAPPED = "red and blue swapped"

_CROWD = 2  # other nuclei; one can be a neighbour's, or a lobe that lies apart
_FAR_SMALLER = 0.85  # of the smallest share of the picture that a nucleus had
_SMALL = 0.1  # the quantile below which a validation picture's nucleus is called small
_COOL = 0.02  # the quantile below which it is called cool
_LEAST_WARMTH = 5.0  # grey levels; pictures that are cooler than this on the whole tell nothing by it
_FALSE_ALARMS = 0.01  # of the validation pictures at most, or a sign is not used


@dataclass(frozen=True)
class PictureCheck:
    """What validation pictures look like; 0 for a limit that is not used.

    smallest_share: a nucleus that takes less of the picture's side is far smaller than any of theirs.
    crowd_share: one that takes less, beside two nuclei or more, is one of several.
    warmth: a picture that is cooler than -warmth would fit, were red and blue exchanged: OpenCV orders
    channels so.
    usual_share: what their nuclei mostly take of the side, to which cells of a photograph are brought.
    """

    smallest_share: float
    crowd_share: float
    warmth: float
    usual_share: float = 0.0  # models of before it do not tell

    def status(self, marks: PictureMarks) -> str:
        """Why an answer cannot be relied on, or ""."""
        small = marks.nucleus_share < self.smallest_share
        if small or (marks.other_nuclei >= _CROWD and marks.nucleus_share < self.crowd_share):
            return SEVERAL_CELLS
        return SWAPPED if self.warmth and marks.warmth < -self.warmth else ""

    def state(self) -> dict[str, Any]:
        """Plain numbers, as a checkpoint may hold them."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> PictureCheck:
        """The check that `state` came from.  Raises TypeError or ValueError for anything else."""
        check = cls(**state)
        for name, value in vars(check).items():
            if type(value) is not float or not 0 <= value < math.inf:
                raise ValueError(f"pictures.{name} {value!r}: expected a number, 0 or more")
        return check


def fit_picture_check(pictures: Sequence[PictureMarks], prepare: Prepare) -> PictureCheck:
    """By the pictures that the rule of answers is fitted on, one or more.

    prepare: where it brings cells to one size, a small nucleus is no reason to doubt.
    """
    shares = np.array([marks.nucleus_share for marks in pictures])
    cool, usual = np.quantile([marks.warmth for marks in pictures], [_COOL, 0.5])
    warmth = max(float(cool), float(usual) / 4)
    found = shares[~np.isnan(shares)]
    limits = PictureCheck(
        _FAR_SMALLER * float(found.min()) if len(found) and "size" not in prepare.standardise else 0.0,
        float(np.quantile(found, _SMALL)) if len(found) else 0.0,
        warmth if warmth >= _LEAST_WARMTH else 0.0,
    )
    return PictureCheck(
        limits.smallest_share,
        _kept(limits.crowd_share, lambda limit: PictureCheck(0.0, limit, 0.0), pictures),
        _kept(limits.warmth, lambda limit: PictureCheck(0.0, 0.0, limit), pictures),
        float(np.median(found)) if len(found) else 0.0,
    )


def _kept(limit: float, check: Callable[[float], PictureCheck], pictures: Sequence[PictureMarks]) -> float:
    """The limit, or 0 where a check by it alone would be wrong about too many of these pictures."""
    alarms = sum(check(limit).status(marks) != "" for marks in pictures)
    return limit if alarms <= _FALSE_ALARMS * len(pictures) else 0.0
