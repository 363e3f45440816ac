"""What lies in the folder of one settling into this lab, and what the page tells of it.

settled_1/settling.json   what the model was settled by, and who asked for it
settled_1/labelled.csv    the cells and their labels
settled_1/adapted/        what wbc adapt wrote
settled_1/predictions/    what wbc predict then wrote; there once a reviewer has asked for it
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from wbc.datasets.enough_cells import FEW
from wbc.reviewing.cells import Cells, read_cells
from wbc.reviewing.tally import tally
from wbc.reviewing.verdicts import OPEN
from wbc.settings.layout import DIFFERENTIAL, METRICS, MODEL
from wbc.utils.files import read_json

_NAME = re.compile(r"settled_(\d+)")
_ORDINARY = 0.25  # of labelled cells that are of the less doubtful half: of a sample half of them are
MEASURED, NAMED = "measured", "named"


@dataclass(frozen=True)
class Settled:
    """One such folder."""

    folder: Path

    @property
    def record(self) -> Path:
        """Written first: it marks the folder as one of these."""
        return self.folder / "settling.json"

    @property
    def labelled(self) -> Path:
        """A table of path and label."""
        return self.folder / "labelled.csv"

    @property
    def adapted(self) -> Path:
        """The run folder of wbc adapt."""
        return self.folder / "adapted"

    @property
    def model(self) -> Path:
        """Written last there."""
        return self.adapted / MODEL

    @property
    def predictions(self) -> Path:
        """The output of wbc predict."""
        return self.folder / "predictions"

    @property
    def differential(self) -> Path:
        """Written last there."""
        return self.predictions / DIFFERENTIAL

    @property
    def stage(self) -> str:
        """MEASURED, NAMED, or "" where the model is not there."""
        if not self.model.is_file():
            return ""
        return NAMED if self.differential.is_file() else MEASURED

    def clear(self) -> None:
        """Remove what a stopped command left, and all of it where there is no model."""
        stage = self.stage
        if not stage:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif stage == MEASURED:
            shutil.rmtree(self.predictions, ignore_errors=True)

    @cached_property
    def told(self) -> dict[str, Any]:
        """What was used, and what cross-validation says, as plain values."""
        metrics = read_json(self.adapted / METRICS)
        intervals = metrics["cross_validation"]["intervals"]
        record = read_json(self.record)
        return record | {
            "folder": str(self.folder),
            "verdict": metrics["verdict"],
            "mix": metrics["mix"],
            "intervals": intervals,
            "cautions": cautions(record, metrics["cells"], intervals["gain"]["accuracy"]),
        }

    def named_otherwise(self, before: Cells, table: str) -> dict[str, Any]:
        """How the cells are named now and were before: shares of both, and in how many the names differ."""
        now = read_cells(self.predictions, table)
        places = pc.index_in(now.paths, before.paths).to_numpy(zero_copy_only=False).astype(float)
        is_known = ~np.isnan(places)  # NaN where a cell was not there before
        was = before.prediction[places[is_known].astype(int)]
        first, anew = (tally(one, np.full(len(one), OPEN))["machine"] for one in (before, now))
        return {
            "cells": len(now),
            "same_cells": int(is_known.sum()),
            "otherwise": int((was != now.prediction[is_known]).sum()),
            "first": first,
            "anew": anew,
            "predictions": str(self.predictions),
        }


def settled_folders(folder: Path) -> list[Settled]:
    """Those in a review's folder, oldest first."""
    numbered = [(int(found[1]), one) for one in folder.iterdir() if (found := _NAME.fullmatch(one.name))]
    return [one for one in (Settled(path) for _, path in sorted(numbered)) if one.record.is_file()]


def next_folder(folder: Path) -> Settled:
    """One that does not exist yet."""
    taken = [int(found[1]) for one in folder.iterdir() if (found := _NAME.fullmatch(one.name))]
    return Settled(folder / f"settled_{1 + max(taken, default=0)}")


def cautions(record: Mapping[str, Any], cells: Mapping[str, int], gain: Mapping[str, Any]) -> list[str]:
    """What to think of before the new model is used, a sentence each.

    record: what the model was settled by.  cells: labelled, of each class.  gain: its interval, of accuracy.
    """
    said = []
    if few := [f"{name} {count}" for name, count in cells.items() if count < FEW]:
        said.append(
            f"Few labelled cells: {', '.join(few)}. With fewer than {FEW} of a class these figures may be "
            "chance: label more, and measure again."
        )
    if record["ordinary"] < _ORDINARY * record["cells"]:
        said.append(
            f"Only {record['ordinary']} of {record['cells']} labelled cells are of the less doubtful half. A "
            "model settled by doubtful cells alone often names ordinary ones worse, which these figures do "
            "not show: label cells in the order \u201cas in the table\u201d too."
        )
    low, high, estimate = gain["low"], gain["high"], gain["estimate"]
    if estimate is not None and estimate < 0:
        said.append("Accuracy falls: leave the model as it is, label more, and measure again.")
    elif low is None or high is None or low <= 0 <= high:
        said.append("The interval of the gain in accuracy holds 0: the gain may be chance.")
    return said
