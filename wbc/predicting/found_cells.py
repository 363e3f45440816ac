"""What was found in photographs, kept until all is answered: a table of cells, and parts of it on the way."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from wbc.images.boxes import Box, crop_name
from wbc.utils.files import replacing

FOUND = "found.csv"  # in the folder of parts
COUNTED_ELSEWHERE = "counted in another photograph"  # a status


class FoundCell(NamedTuple):
    """A white cell, or what looks like one, in its photograph.

    crop: what the network is shown.  status: "" of a cell to be answered, else why it is not.  same_as: the
    name of the crop that is answered in its place, "" where there is none.
    """

    box: Box
    crop: Box
    at_border: bool
    status: str = ""
    same_as: str = ""


class Searched(NamedTuple):
    """A photograph that was looked at; without cells where it cannot be read."""

    path: str
    group: str
    unreadable: bool
    cells: list[FoundCell]

    def crop_name(self, cell: FoundCell) -> str:
        """What stands for a cell of it in lists and tables."""
        return crop_name(self.path, cell.crop)


def write_searched(file: Path, photographs: Sequence[Searched]) -> None:
    """A part, whole or not at all."""
    with replacing(file) as beside, beside.open("w", encoding="ascii", newline="\n") as lines:
        for one in photographs:
            lines.write(json.dumps(one) + "\n")  # ASCII, whatever bytes a name consists of


def read_searched(file: Path) -> Iterator[Searched]:
    """What `write_searched` wrote."""
    with file.open(encoding="ascii") as lines:
        for line in lines:
            path, group, unreadable, cells = json.loads(line)
            found = [FoundCell(Box(*box), Box(*crop), *rest) for box, crop, *rest in cells]
            yield Searched(path, group, unreadable, found)


class Row(NamedTuple):
    """A cell in the table of all; crop: its name, or "" where nothing is answered of it."""

    photograph: str
    box: Box
    at_border: bool
    crop: str
    status: str
    same_as: str


def table_rows(photograph: Searched) -> Iterator[list[object]]:
    """The rows of its cells, as `read_table` reads them."""
    for cell in photograph.cells:
        name = "" if cell.status else photograph.crop_name(cell)
        yield [photograph.path, *cell.box, int(cell.at_border), name, cell.status, cell.same_as]


def read_table(file: Path) -> Iterator[tuple[str, Iterator[Row]]]:
    """Each photograph with cells, and these."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = (
            Row(photograph, Box(*map(int, corners)), border == "1", crop, status, same_as)
            for photograph, *corners, border, crop, status, same_as in csv.reader(lines)
        )
        yield from groupby(rows, lambda row: row.photograph)
