"""Attributes that people named of each cell: a table with a column for each, whatever it tells."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wbc.datasets.manifest import COLUMNS
from wbc.datasets.table_paths import TablePaths
from wbc.datasets.user_table import UserTable
from wbc.errors import DataError

log = logging.getLogger(__name__)

MISSING = -1  # the number of a value that is not known
_NOTHING = frozenset(("", "na", "n/a", "nan", "?"))  # what a value that is not known is written as
_MOST_VALUES = 20  # of an attribute; names, dates and measurements have more
_FEWEST_CELLS = 10  # in training that show a value; of fewer it cannot be learnt


class Vocabulary(NamedTuple):
    """The attributes that are learnt, and the values of each, in one order everywhere."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]

    @property
    def sizes(self) -> list[int]:
        """How many values each attribute has."""
        return [len(values) for values in self.values]


@dataclass(frozen=True)
class AttributeTable:
    """What `file` tells: columns of attributes, and by a cell's real path its values, "" if unknown."""

    file: Path
    columns: tuple[str, ...]
    cells: dict[str, tuple[str, ...]]

    @classmethod
    def read(cls, file: str | Path) -> AttributeTable:
        """A table with a column path, relative to its folder, and a column for each attribute.

        What a table of images may hold beside (`label`, `split`, boxes) is no attribute, nor is a column of
        more than 20 values, which the log names.  Raises DataError for what is no such table.
        """
        file = Path(file).expanduser()
        if not file.is_file():
            raise DataError(f"data.attributes = {file} does not exist: give a table with a column path")
        table = UserTable(file, ["path"], COLUMNS)
        paths = TablePaths(file, table)
        columns = [name for name in table.columns if name and name not in (*COLUMNS, *paths.columns)]
        table.refuse_twins(columns)
        cells: dict[str, tuple[str, ...]] = {}
        for row in table:
            path = os.path.realpath(paths.path(row))
            if path in cells:
                raise DataError(f"{file}, line {row.line}: {path} occurs a second time; keep one row")
            cells[path] = tuple(_value(row.fields[name]) for name in columns)
        paths.tell()
        kept = [place for place, name in enumerate(columns) if _is_attribute(file, name, place, cells)]
        if not kept:
            raise DataError(
                f"data.attributes = {file} has no column of an attribute: its columns are "
                f"{', '.join(table.columns)}; an attribute has 2 to {_MOST_VALUES} values"
            )
        return cls(
            file,
            tuple(columns[place] for place in kept),
            {path: tuple(values[place] for place in kept) for path, values in cells.items()},
        )

    def vocabulary(self, paths: Sequence[str]) -> Vocabulary:
        """What can be learnt of the training images at `paths`; the log names what cannot.

        Raises DataError where the table knows none of them, or nothing can be learnt.
        """
        rows = [self.cells[path] for path in map(os.path.realpath, paths) if path in self.cells]
        if not rows:
            raise DataError(
                f"data.attributes = {self.file} has a row for none of {len(paths)} training images, such as "
                f"{paths[0]}; its paths are relative to its folder, and lead to "
                f"{next(iter(self.cells), 'none')}"
            )
        names, values = [], []
        for place, name in enumerate(self.columns):
            counts = Counter(row[place] for row in rows if row[place])
            enough = sorted(value for value, count in counts.items() if count >= _FEWEST_CELLS)
            for value in sorted(set(counts) - set(enough)):
                told = (self.file, name, value, counts[value], _FEWEST_CELLS)
                log.warning("%s: %s = %s is not learnt: %d training images show it, it takes %d", *told)
            if len(enough) < 2:
                log.warning("%s: %s is not learnt: fewer than two values can be", self.file, name)
                continue
            names.append(name)
            values.append(tuple(enough))
        if not names:
            raise DataError(
                f"data.attributes = {self.file}: no attribute has two values that {_FEWEST_CELLS} training "
                "images show; name more cells"
            )
        log.info("attributes: %s, of %d of %d training images", ", ".join(names), len(rows), len(paths))
        return Vocabulary(tuple(names), tuple(values))

    def targets(self, vocabulary: Vocabulary, paths: Sequence[str]) -> np.ndarray:
        """The number of each value, (N, A) int64, of the images at `paths`; MISSING where not known."""
        places = [self.columns.index(name) for name in vocabulary.names]
        numbers = [{value: number for number, value in enumerate(one)} for one in vocabulary.values]
        found = np.full((len(paths), len(places)), MISSING, np.int64)
        for row, path in enumerate(map(os.path.realpath, paths)):
            if (values := self.cells.get(path)) is not None:
                found[row] = [
                    number.get(values[place], MISSING) for place, number in zip(places, numbers, strict=True)
                ]
        return found


def _value(written: str) -> str:
    value = " ".join(written.split())
    return "" if value.lower() in _NOTHING else value


def _is_attribute(file: Path, name: str, place: int, cells: dict[str, tuple[str, ...]]) -> bool:
    values = {row[place] for row in cells.values()} - {""}
    if 2 <= len(values) <= _MOST_VALUES:
        return True
    log.warning("%s: the column %s is no attribute: it has %d values", file, name, len(values))
    return False
