"""What the final model learns of cells that are none of its classes, and how it refuses others like them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from wbc.answers.predictor import Outputs, Predictor
from wbc.errors import DataError
from wbc.images.picture_marks import PictureMarks
from wbc.loading.file_batches import files_in_batches
from wbc.plain.answers import ANSWERED, UNKNOWN, superclass_of
from wbc.utils.progress import Progress

log = logging.getLogger(__name__)


class UnknownOutputs(NamedTuple):
    """Of the N images that could be read, rows as `wbc.datasets.unknown_cells` has them."""

    rows: pd.DataFrame
    outputs: Outputs
    found: list[bool | None]
    marks: list[PictureMarks]

    @property
    def learnt(self) -> Tensor:
        """Features (M, D) of those that are not held out."""
        return self.outputs.features[torch.tensor(~self.rows["measured"].to_numpy())]


def unknown_outputs(predictor: Predictor, rows: pd.DataFrame, batch_size: int) -> UnknownOutputs:
    """By a predictor that may have no rule yet.  Images that cannot be read are left out, and the log names
    them; raises DataError where none can.
    """
    outputs: list[Outputs] = []
    found: list[bool | None] = []
    marks: list[PictureMarks] = []
    read: list[bool] = []
    with Progress("cells of unknown kinds", "image", len(rows)) as bar:
        for batch in predictor.stream(files_in_batches(rows["path"].tolist(), batch_size)):
            for path, reason in batch.files.unreadable:
                log.warning("data.unknown: left out %s: %s", path, reason)
            outputs.append(batch.outputs)
            found += batch.files.found
            marks += batch.files.marks
            read += [not reason for reason in batch.files.reasons]
            bar.update(len(batch.files.images))
    if not any(read):
        raise DataError(f"data.unknown: none of {len(rows)} images can be read; copy them again")
    together = Outputs(*(torch.cat(values) for values in zip(*outputs, strict=True)))
    return UnknownOutputs(rows[read].reset_index(drop=True), together, found, marks)


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
