"""predictions.csv, or predictions.parquet: one list of columns, whichever verb writes it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from wbc.answers.rule import Answers
from wbc.utils.files import replacing

DATA, PATH, GROUP, LABEL, PREDICTION = range(5)  # the columns before those of the classes
_FRONT = ("data", "path", "group", "label", "prediction")
_BACK = ("set", "status", "score", "cell_found")
SET_SEPARATOR = " | "
_FOUND = {True: "yes", False: "no", None: ""}
_ROW_GROUP = 8192  # rows of a row group of Parquet


def columns(classes: Sequence[str]) -> list[str]:
    """data: the set or split; path; group; label: the true class; prediction; the calibrated probability of
    each class; set: the classes that it could be; status; outlier score; cell_found.

    "" stands where nothing is known: no group, no label, a model that looks for no cell.
    """
    return [*_FRONT, *classes, *_BACK]


def status_column(classes: Sequence[str]) -> int:
    """Where the status stands; a class may have its name."""
    return len(_FRONT) + len(classes) + _BACK.index("status")


def prediction_rows(
    answers: Answers,
    paths: Sequence[str],
    groups: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    data: str = "",
) -> Iterator[list[str]]:
    """A row for each of N answers to the images at `paths`, as `columns` has them."""
    for row, path in enumerate(paths):
        yield [
            data,
            path,
            "" if groups is None else groups[row],
            "" if labels is None else labels[row],
            answers.labels[row],
            *(f"{value:.6g}" for value in answers.probabilities[row]),
            SET_SEPARATOR.join(answers.sets[row]),
            answers.status[row],
            f"{answers.scores[row]:.6g}",
            _FOUND[answers.cell_found[row]],
        ]


class RowWriter(Protocol):
    """Takes one row of a table at a time."""

    def writerow(self, row: Sequence[str], /) -> object:
        """The values in the order of the columns."""


@contextmanager
def table_writer(path: Path, classes: Sequence[str]) -> Iterator[RowWriter]:
    """Writes the table as CSV or Parquet, by the suffix of `path`; whole or not at all."""
    with replacing(path) as beside:
        if path.suffix == ".csv":
            with beside.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(columns(classes))
                yield writer
            return
        numbers = {*range(len(_FRONT), len(_FRONT) + len(classes)), columns(classes).index("score", -3)}
        schema = pa.schema(
            [
                (name, pa.float32() if index in numbers else pa.string())
                for index, name in enumerate(columns(classes))
            ]
        )
        with pq.ParquetWriter(beside, schema) as parquet:
            rows = _ParquetRows(parquet, schema)
            yield rows
            rows.flush()


class _ParquetRows:
    def __init__(self, parquet: pq.ParquetWriter, schema: pa.Schema) -> None:
        self.parquet, self.schema = parquet, schema
        self.rows: list[Sequence[str]] = []

    def writerow(self, row: Sequence[str]) -> None:
        self.rows.append(row)
        if len(self.rows) == _ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if not self.rows:
            return
        arrays = [
            pa.array(map(float, values) if kind.type == pa.float32() else values, type=kind.type)
            for kind, values in zip(self.schema, zip(*self.rows, strict=True), strict=True)
        ]
        self.parquet.write_table(pa.Table.from_arrays(arrays, schema=self.schema))
        self.rows = []
