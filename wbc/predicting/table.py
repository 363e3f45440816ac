"""The rows of predict.py: part files as batches are done, put together in a stream at the end."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from wbc.answers.prediction_rows import SET_SEPARATOR
from wbc.answers.rule import Answers
from wbc.loading.file_batches import FileBatch

_BEHIND = ("set", "status", "score", "cell_found")
_FOUND = {True: "yes", False: "no", None: ""}
_ROWS = 8192  # of a row group of Parquet


class RowWriter(Protocol):
    """Takes one row of a table at a time."""

    def writerow(self, row: Sequence[str], /) -> object:
        """The values in the order of the header."""


def header(classes: Sequence[str], grouped: bool) -> list[str]:
    """The columns of predictions.csv; those of classes are their calibrated probabilities.

    cell_found is empty where the model looks for none.
    """
    return ["path", *(["group"] if grouped else []), "prediction", *classes, *_BEHIND]


def part_rows(batch: FileBatch, answers: Answers, grouped: bool) -> Iterator[list[str]]:
    """A row for each image of a batch: the header's columns, then why it cannot be read, "" where it can."""
    row = 0
    for image, reason in zip(batch.images, batch.reasons, strict=True):
        front = [image.path, *([image.group] if grouped else [])]
        if reason:
            printable = front[0].encode(errors="backslashreplace").decode()
            yield [printable, *front[1:], *[""] * (1 + answers.probabilities.shape[1] + len(_BEHIND)), reason]
            continue
        yield [
            *front,
            answers.labels[row],
            *(f"{value:.6g}" for value in answers.probabilities[row]),
            SET_SEPARATOR.join(answers.sets[row]),
            answers.status[row],
            f"{answers.scores[row]:.6g}",
            _FOUND[answers.cell_found[row]],
            "",
        ]
        row += 1


def write_part(path: Path, rows: Sequence[list[str]]) -> None:
    """The rows of some batches."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def read_part(path: Path) -> Iterator[list[str]]:
    """What `write_part` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.reader(file)


@contextmanager
def table_writer(path: Path, classes: Sequence[str], grouped: bool) -> Iterator[RowWriter]:
    """Writes the table as CSV or Parquet, by the suffix of `path`."""
    columns = header(classes, grouped)
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            yield writer
        return
    numbers = {*classes, "score"}
    schema = pa.schema([(name, pa.float32() if name in numbers else pa.string()) for name in columns])
    with pq.ParquetWriter(path, schema) as parquet:
        rows = _ParquetRows(parquet, schema)
        yield rows
        rows.flush()


class _ParquetRows:
    def __init__(self, parquet: pq.ParquetWriter, schema: pa.Schema) -> None:
        self.parquet, self.schema = parquet, schema
        self.rows: list[Sequence[str]] = []

    def writerow(self, row: Sequence[str]) -> None:
        self.rows.append(row)
        if len(self.rows) == _ROWS:
            self.flush()

    def flush(self) -> None:
        if not self.rows:
            return
        columns = [
            pa.array(map(float, values) if kind.type == pa.float32() else values, type=kind.type)
            for kind, values in zip(self.schema, zip(*self.rows, strict=True), strict=True)
        ]
        self.parquet.write_table(pa.Table.from_arrays(columns, schema=self.schema))
        self.rows = []
