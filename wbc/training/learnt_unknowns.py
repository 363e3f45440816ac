"""What the final model learns of cells that are none of its classes, and how it refuses others like them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from wbc.answers.predictor import Outputs, Predictor
from wbc.images.picture_marks import PictureMarks
from wbc.plain.answers import ANSWERED, UNKNOWN, superclass_of

log = logging.getLogger(__name__)


class UnknownOutputs(NamedTuple):
    """Of N images; rows as `wbc.datasets.unknown_cells` has them."""

    rows: pd.DataFrame
    outputs: Outputs
    found: list[bool | None]
    marks: list[PictureMarks]

    @property
    def learnt(self) -> Tensor:
        """Features (M, D) of those that are not held out."""
        return self.outputs.features[torch.tensor(~self.rows["measured"].to_numpy())]


def unknown_outputs(predictor: Predictor, rows: pd.DataFrame, batch_size: int) -> UnknownOutputs:
    """By a predictor that may have no rule yet.  Raises DataError for an image that has gone since."""
    paths = rows["path"].tolist()
    outputs, answers, marks = predictor.answer_files(paths, batch_size, None, "cells of unknown kinds")
    return UnknownOutputs(rows, outputs, answers.cell_found, marks)


def measured_unknowns(predictor: Predictor, seen: UnknownOutputs) -> dict[str, Any]:
    """What becomes of the images that were held out, for metrics.json: of each kind the share that is called
    no known cell, and the share that is answered.
    """
    status = predictor.answers(seen.outputs, seen.found, seen.marks).status
    held_out = seen.rows.assign(status=status)[seen.rows["measured"]]
    kinds = {str(kind): _shares(part["status"].tolist()) for kind, part in held_out.groupby("kind")}
    record = {"learnt": int((~seen.rows["measured"]).sum()), "kinds": kinds}
    for kind, shares in kinds.items():
        log.info(
            "unknown cells, %s: of %d that were held out %.0f %% are called no known cell and %.0f %% are "
            "answered; the others are uncertain, or held back for another reason",
            *(kind, shares["images"], 100 * shares["not_a_known_cell"], 100 * shares["answered"]),
        )
    return record


def _shares(status: Sequence[str]) -> dict[str, Any]:
    answered = sum(one == ANSWERED or superclass_of(one) != "" for one in status)
    return {
        "images": len(status),
        "not_a_known_cell": status.count(UNKNOWN) / len(status),
        "answered": answered / len(status),
    }
