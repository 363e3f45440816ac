"""What processes of predict.py leave of their batches until all is done: rows, and why a file has none."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import compress
from pathlib import Path

from wbc.answers.predictor import Answered
from wbc.datasets.image_list import Listed
from wbc.plain.prediction_rows import prediction_rows


def part_rows(batch: Answered) -> Iterator[list[str]]:
    """A row for each file of a batch: path, group and why it cannot be read, or "" and its prediction."""
    files: Sequence[Listed] = batch.files.images  # type: ignore[assignment]
    read = [not reason for reason in batch.files.reasons]
    paths, groups = ([getattr(file, name) for file in compress(files, read)] for name in ("path", "group"))
    predictions = prediction_rows(batch.answers, paths, groups)
    for file, reason in zip(files, batch.files.reasons, strict=True):
        printable = file.path.encode(errors="backslashreplace").decode()
        yield [printable, file.group, reason, *([] if reason else next(predictions))]


def write_part(path: Path, rows: Sequence[list[str]]) -> None:
    """The rows of some batches."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def read_part(path: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """What `write_part` wrote: path, group, why there is no prediction, and the prediction's row."""
    with path.open(encoding="utf-8", newline="") as file:
        for printable, group, reason, *row in csv.reader(file):
            yield printable, group, reason, row
