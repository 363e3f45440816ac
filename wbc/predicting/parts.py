"""What processes of predict.py leave of their batches until all is done: rows, and why a file has none."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wbc.answers.predictor import Answered
from wbc.datasets.image_list import Listed
from wbc.plain.lab_check import LabCheck, LabTally, held_back, numbers
from wbc.plain.prediction_rows import prediction_rows, silence, status_column
from wbc.utils.files import replacing


class PartRow(NamedTuple):
    """path and group of a file; reason: why there is no prediction, or "" and its `prediction`, a row of the
    table, with its `rank` of `LabCheck.ranks`, "" where the model has no such check.
    """

    path: str
    group: str
    reason: str
    rank: str
    prediction: list[str]


def part_rows(batch: Answered, lab: LabCheck | None, classes: Sequence[str]) -> Iterator[PartRow]:
    """A row for each file of a batch."""
    files: Sequence[Listed] = batch.files.images  # type: ignore[assignment]
    read = [not reason for reason in batch.files.reasons]
    paths, groups = ([getattr(file, name) for file in compress(files, read)] for name in ("path", "group"))
    predictions = prediction_rows(batch.answers, paths, groups)
    ranks = [""] * len(paths)
    if lab is not None:
        found = lab.ranks(batch.outputs.features.numpy(), numbers(batch.answers, classes))
        ranks = [f"{rank:.6g}" for rank in found]
    answers = zip(ranks, predictions, strict=True)
    for file, reason in zip(files, batch.files.reasons, strict=True):
        printable = file.path.encode(errors="backslashreplace").decode()
        yield PartRow(printable, file.group, reason, *(("", []) if reason else next(answers)))


def write_part(path: Path, rows: Sequence[PartRow]) -> None:
    """The rows of some batches."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([*front, *prediction] for *front, prediction in rows)


def read_part(path: Path) -> Iterator[PartRow]:
    """What `write_part` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        for printable, group, reason, rank, *prediction in csv.reader(file):
            yield PartRow(printable, group, reason, rank, prediction)


def compare_labs(parts: Sequence[Path], lab: LabCheck, classes: Sequence[str]) -> dict[str, Any]:
    """`LabTally.record` of all pictures; of another lab's no part calls any answered, nor says any word."""
    status = status_column(classes)
    tally = LabTally(len(lab.bank))
    for part in parts:
        tally.add(np.array([float(row.rank) for row in read_part(part) if row.prediction]))
    record = tally.record()
    if record["elsewhere"]:
        for part in parts:
            rows = list(read_part(part))
            for row in rows:
                row.prediction[status : status + 1] = map(held_back, row.prediction[status : status + 1])
                silence(row.prediction, classes)
            with replacing(part) as beside:
                write_part(beside, rows)
    return record
