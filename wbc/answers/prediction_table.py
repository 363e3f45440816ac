"""predictions.csv, or predictions.parquet, whichever verb writes it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from wbc.plain.prediction_rows import columns, number_columns
from wbc.utils.files import replacing

_ROW_GROUP = 8192  # rows of a row group of Parquet


class RowWriter(Protocol):
    """Takes one row of a table at a time."""

    def writerow(self, row: Sequence[str], /) -> object:
        """The values in the order of the columns."""


@contextmanager
def table_writer(path: Path, classes: Sequence[str], attributes: Sequence[str] = ()) -> Iterator[RowWriter]:
    """Writes the table as CSV or Parquet, by the suffix of `path`; whole or not at all.

    attributes: those that a model with words tells.
    """
    with replacing(path) as beside:
        if path.suffix == ".csv":
            with beside.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(columns(classes, attributes))
                yield writer
            return
        numbers = number_columns(classes, attributes)
        schema = pa.schema(
            [
                (name, pa.float32() if index in numbers else pa.string())
                for index, name in enumerate(columns(classes, attributes))
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
