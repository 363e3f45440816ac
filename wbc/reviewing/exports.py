"""What a review leaves for others: tables and the slide report, each whole or not at all."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wbc.reviewing.agreement import agreement
from wbc.reviewing.cells import Cells
from wbc.reviewing.decisions import Decision, Decisions
from wbc.reviewing.pictures import Pictures
from wbc.reviewing.slide_report import write_report
from wbc.reviewing.tally import DISAGREED, shared_verdicts, tally
from wbc.reviewing.verdicts import OPEN
from wbc.settings.layout import DIFFERENTIAL, REPORT
from wbc.utils.files import replacing, write_json

REVIEWED, LABELLED, AUDIT = "reviewed.csv", "labelled.csv", "decisions.csv"
EXPORTS = (REPORT, DIFFERENTIAL, REVIEWED, LABELLED, AUDIT)


@dataclass(frozen=True)
class Reviewed:
    """What there is to export."""

    cells: Cells
    decisions: Decisions
    pictures: Pictures

    @property
    def verdicts(self) -> dict[str, np.ndarray]:
        """Of each reviewer (N,); copies, for others go on deciding."""
        return {name: self.decisions.of(name).copy() for name in self.decisions.reviewers}


def write_exports(review: Reviewed, folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Write EXPORTS to `folder`; returns the differential's record.  about: facts that it tells beside."""
    cells, verdicts = review.cells, review.verdicts
    shared = shared_verdicts(list(verdicts.values()), len(cells))
    record = about | {
        "answered": int(cells.answered.sum()),
        "written": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "total": tally(cells, shared),
        "groups": _groups(cells, shared),
        "agreement": agreement(verdicts),
        "reviewers": {name: int((one != OPEN).sum()) for name, one in verdicts.items()},
    }
    write_json(folder / DIFFERENTIAL, record)
    _write_reviewed(folder / REVIEWED, review, verdicts, shared)
    write_labelled(folder / LABELLED, cells, shared)
    _write_rows(
        folder / AUDIT,
        Decision._fields,
        [["" if value is None else value for value in row] for row in review.decisions.rows()],
    )
    write_report(folder / REPORT, cells, verdicts, shared, record, review.pictures)
    return record


def _groups(cells: Cells, shared: np.ndarray) -> dict[str, Any]:
    if len(cells.groups) < 2:
        return {}
    return {name: tally(cells, shared, cells.group == place) for place, name in enumerate(cells.groups)}


def _write_reviewed(
    path: Path, review: Reviewed, verdicts: dict[str, np.ndarray], shared: np.ndarray
) -> None:
    """A row a cell: the prediction, and in `reviewed` what is now taken for right."""
    cells, words = review.cells, review.decisions.verdicts
    header = ["path", "group", "photograph", "x0", "y0", "x1", "y1", "prediction", "probability", "status"]
    confidence = cells.confidence

    def row(cell: int, verdict: int) -> list[object]:
        box = cells.box(cell)
        predicted = int(cells.prediction[cell])
        return [
            cells.path(cell),
            cells.groups[cells.group[cell]],
            *(("",) * 5 if box is None else (cells.photograph_path(cell), *box)),
            cells.classes[predicted],
            f"{confidence[cell]:.6g}",
            cells.statuses[cells.status[cell]],
            "" if verdict == DISAGREED else words.word(verdict) or cells.classes[predicted],
            _state(verdict, words.kind(verdict, predicted) if verdict >= 0 else ""),
            *(words.word(int(one[cell])) for one in verdicts.values()),
        ]

    rows = (row(cell, verdict) for cell, verdict in enumerate(shared.tolist()))
    _write_rows(path, [*header, "reviewed", "review", *(f"by {name}" for name in verdicts)], rows)


def _state(verdict: int, kind: str) -> str:
    return {OPEN: "not looked at", DISAGREED: "disagreed"}.get(verdict, kind)


def write_labelled(path: Path, cells: Cells, shared: np.ndarray) -> None:
    """A table for `wbc train` and `wbc adapt`: cells that a person gave a class."""
    labelled = np.flatnonzero((shared >= 0) & (shared < len(cells.classes))).tolist()
    rows = [
        [cells.path(cell), cells.classes[shared[cell]], cells.groups[cells.group[cell]]] for cell in labelled
    ]
    _write_rows(path, ["path", "label", "group"], rows)


def _write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as CSV, whole or not at all."""
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(rows)
