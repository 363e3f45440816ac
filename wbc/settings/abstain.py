"""What answers promise: settings that training and adapting share."""

from __future__ import annotations

from typing import Annotated

from pydantic.dataclasses import dataclass

from wbc.settings.values import STRICT, Share, one_of

OUTLIER_SCORES = ("energy", "mahalanobis", "knn", "vim")  # see wbc.answers.outliers


@dataclass(config=STRICT)
class AbstainConfig:
    """What answers promise; fitted on validation images at the end of training; see `wbc.answers.rule`."""

    max_error: Share  # share of answers that may be wrong
    set_coverage: Share  # share of prediction sets that hold the true class
    outlier_score: Annotated[str | None, one_of(OUTLIER_SCORES)]  # None: that of the model's own rule
    acceptance: Share  # share of known cells that pass as known
