"""The cells under review: what was predicted of each, read from the table that `wbc predict` wrote.

Columns as arrays: some hundred bytes a cell, so that hundreds of thousands are no matter.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from wbc.errors import DataError
from wbc.images.boxes import Box, photograph_and_box
from wbc.plain.answers import ANSWERED
from wbc.plain.prediction_rows import FRONT, GROUP, LABEL, PATH, PREDICTION, columns, status_column
from wbc.settings.layout import CELLS

_NO_BOX = -1


@dataclass(frozen=True)
class Cells:
    """N cells, counted from 0 as they stand in the table; C classes.

    prediction: (N,) places in `classes`.  probabilities: (N, C) float32.  status, group: (N,) places in
    `statuses` and `groups`.  photograph: (N,) places in `photographs`.  boxes: (N, 4) x0, y0, x1, y1 of the
    cell in its photograph, or -1 where the image is the cell.
    """

    classes: Sequence[str]
    paths: pa.Array
    sets: pa.Array
    labels: pa.Array
    prediction: np.ndarray
    probabilities: np.ndarray
    statuses: Sequence[str]
    status: np.ndarray
    groups: Sequence[str]
    group: np.ndarray
    scores: np.ndarray
    photographs: pa.Array
    photograph: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.prediction)

    @property
    def answered(self) -> np.ndarray:
        """(N,) bool: of which the model was sure."""
        return np.array([name == ANSWERED for name in self.statuses])[self.status]

    @property
    def confidence(self) -> np.ndarray:
        """(N,) the probability of what was predicted."""
        return self.probabilities[np.arange(len(self)), self.prediction]

    def path(self, cell: int) -> str:
        """The image, or the name of the crop that the network was shown."""
        return self.paths[cell].as_py()

    def box(self, cell: int) -> Box | None:
        """Of the cell in its photograph; None where the image is the cell."""
        x0, y0, x1, y1 = (int(value) for value in self.boxes[cell])
        return None if x0 == _NO_BOX else Box(x0, y0, x1, y1)

    def photograph_path(self, cell: int) -> str:
        """The file to open."""
        return self.photographs[int(self.photograph[cell])].as_py()

    def named(self, part: str) -> np.ndarray:
        """(N,) bool: whose path has `part` in it, letter case aside."""
        return pc.match_substring(self.paths, part, ignore_case=True).to_numpy(zero_copy_only=False)


def read_cells(folder: Path, table: str) -> Cells:
    """The cells of `table` in `folder`; raises DataError where it is none that wbc wrote."""
    path = folder / table
    header, read = _columns(path)
    classes = _classes(header)
    if not classes:
        raise DataError(
            f"{path} is no table of predictions: its columns are {', '.join(header[:8]) or 'none'}; give the "
            "folder that wbc predict wrote"
        )
    if not len(read[PATH]):
        raise DataError(f"{path} holds no cell, so there is nothing to review; errors.csv beside it says why")
    places = {name: place for place, name in enumerate(classes)}
    prediction = pc.index_in(read[PREDICTION], pa.array(classes)).to_numpy(zero_copy_only=False)
    if np.isnan(prediction.astype(float)).any():
        wrong = next(name for name in read[PREDICTION].to_pylist() if name not in places)
        raise DataError(
            f"{path}: the prediction {wrong!r} is no class of the table; have the images answered anew"
        )
    first, last = len(FRONT), len(FRONT) + len(classes)
    status, group = (_coded(read[place]) for place in (status_column(classes), GROUP))
    photographs, photograph, boxes = _places(read[PATH], folder / CELLS)
    return Cells(
        classes=classes,
        paths=read[PATH],
        sets=read[last],
        labels=read[LABEL],
        prediction=prediction.astype(np.int16),
        probabilities=np.stack([_numbers(column, path) for column in read[first:last]], axis=1),
        statuses=status[0],
        status=status[1],
        groups=group[0],
        group=group[1],
        scores=_numbers(read[last + 2], path),
        photographs=photographs,
        photograph=photograph,
        boxes=boxes,
    )


def _classes(header: Sequence[str]) -> list[str]:
    """Those of a table of predictions, which may have further columns behind; [] of any other."""
    for end in range(len(FRONT) + 1, len(header)):
        classes = list(header[len(FRONT) : end])
        if list(header[: len(columns(classes))]) == columns(classes):
            return classes
    return []


def _columns(path: Path) -> tuple[list[str], list[pa.Array]]:
    """The header, and each column; numbers of a CSV are still text."""
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            return table.column_names, [_joined(column) for column in table.columns]
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file), [])
        if len(header) < 2:
            return header, []
        numbered = [str(number) for number in range(len(header))]  # a class may have a column's name
        table = pa.csv.read_csv(
            path,
            pa.csv.ReadOptions(column_names=numbered, skip_rows=1),
            pa.csv.ParseOptions(newlines_in_values=True),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(numbered, pa.string())),
        )
        return header, [_joined(column) for column in table.columns]
    except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is damaged ({reason:.200}); have the images answered anew") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(_not_there(path)) from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; mend that") from error


def _not_there(path: Path) -> str:
    """Which folder was meant, perhaps."""
    folder = path.parent
    wanted = "give the folder that wbc predict wrote, as predictions=<folder>"
    if folder.is_file():
        return f"predictions={folder} is a file; {wanted}"
    if not folder.is_dir():
        return f"predictions={folder}: there is no such folder; {wanted}"
    if (folder / "parts").is_dir():
        return f"{folder} holds a run of wbc predict that was stopped; give that command again first"
    other = next((one.name for one in sorted(folder.glob("predictions.*")) if one.name != path.name), None)
    if other is not None:
        return f"{folder} has no {path.name}, but {other}: give table={other}"
    return f"{folder} has no {path.name}; {wanted}"


def _joined(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) and whole.num_chunks else whole


def _numbers(column: pa.Array, path: Path) -> np.ndarray:
    try:
        return pc.cast(column, pa.float32()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: {error}; have the images answered anew") from error


def _coded(column: pa.Array) -> tuple[list[str], np.ndarray]:
    """The different values, sorted, and the place of each."""
    values = sorted(pc.unique(column).to_pylist())
    return values, pc.index_in(column, pa.array(values, pa.string())).to_numpy(zero_copy_only=False)


def _places(paths: pa.Array, found: Path) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Photographs, which of them each cell is in, and its box there."""
    boxes = np.full((len(paths), 4), _NO_BOX, np.int32)
    files = []
    for row, path in enumerate(paths.to_pylist()):
        photograph, box = photograph_and_box(path)
        files.append(photograph)
        if box is not None:
            boxes[row] = box
    if found.is_file():
        boxes = _outlines(found, files, boxes)
    coded = pa.array(files).dictionary_encode()
    return coded.dictionary, coded.indices.to_numpy(), boxes


def _outlines(found: Path, files: Sequence[str], crops: np.ndarray) -> np.ndarray:
    """The boxes of the cells themselves, tighter than the crops that the network was shown."""
    header, read = _columns(found)
    corners = [name for name in ("x0", "y0", "x1", "y1") if name in header]
    if "prediction" in header:  # other rows are of cells that count elsewhere, or of none
        answered = pc.not_equal(read[header.index("prediction")], "")
        read = [column.filter(answered) for column in read]
    if header[:1] != ["photograph"] or len(corners) < 4 or read[0].to_pylist() != list(files):
        raise DataError(
            f"{found} is not of the predictions beside it; have the photographs answered anew, or move it"
        )
    numbers = [_numbers(read[header.index(name)], found) for name in corners]
    outlines = np.stack(numbers, axis=1).astype(np.int32)
    return np.where(crops == _NO_BOX, crops, outlines)
