"""The images that the rows of a user's table or list name: whole files, or boxes in photographs.

Columns x0, y0, x1, y1 make each row a crop of its own (`wbc.images.boxes`).  So do the names that Pascal VOC
and COCO use, and those of other detection tables.
"""

from __future__ import annotations

import logging
import math
import os
from functools import lru_cache
from pathlib import Path

from wbc.datasets.user_table import Row, UserTable
from wbc.errors import DataError
from wbc.images.boxes import Box, crop_name, photograph_and_box
from wbc.images.decode import upright_size

log = logging.getLogger(__name__)

BOX_COLUMNS = "x0, y0, x1, y1 (pixels)"  # as messages name them
_CORNERS = (("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
_SIZES = (("bbox_x", "bbox_y", "bbox_width", "bbox_height"), ("x", "y", "width", "height"))
_MOST_PX = 10**8  # no picture that is read is as wide
_SIZES_KEPT = 256  # of photographs; a table has the boxes of one together


class TablePaths:
    """Turns rows into absolute paths or names of boxes, and remembers which boxes it had to cut."""

    def __init__(self, file: Path, table: UserTable | None = None) -> None:
        """file: paths are relative to its folder.  table: its columns, where it has some.

        Raises DataError for a table that tells its boxes in two ways.
        """
        self._file = file
        self._folder = os.path.abspath(file.parent)
        self._size = lru_cache(_SIZES_KEPT)(upright_size)
        self._cut: list[str] = []
        self._cut_count = 0
        here = [] if table is None else [one for one in _CORNERS + _SIZES if set(one) <= set(table.columns)]
        if len(here) > 1:
            raise DataError(
                f"{file} tells its boxes twice, in {', '.join(here[0])} and in {', '.join(here[1])}; keep one"
            )
        self.columns = here[0] if here else ()
        if table is not None and here:
            table.refuse_twins(self.columns)
            log.info("%s: boxes by its columns %s", file, ", ".join(self.columns))

    def path(self, row: Row) -> str:
        """The image that a row names.  Raises DataError, with the line, for a row that names none."""
        written = row.fields["path"]
        if not written.strip():
            raise DataError(f"{self._file}, line {row.line}: no path; fill it in")
        path = os.path.normpath(os.path.join(self._folder, written))
        mended = written.strip().replace("\\", "/")  # blanks, and what Windows puts between folders
        if mended != written and not os.path.lexists(path):
            path = os.path.normpath(os.path.join(self._folder, mended))
        photograph, box = photograph_and_box(path)
        if told := self._box(row):
            if box is not None:
                raise DataError(
                    f"{self._file}, line {row.line}: a box in the path {written!r} and another in the "
                    "columns; keep one"
                )
            box = told
        return path if box is None else self._name(photograph, box, row.line)

    def tell(self) -> None:
        """A line in the log about the boxes that were cut."""
        if self._cut_count:
            log.warning(
                "%s: %d boxes reach over the edge of their photograph and end there, e.g. %s",
                *(self._file, self._cut_count, "; ".join(self._cut)),
            )

    def _box(self, row: Row) -> Box | None:
        """What the columns say, None where they are empty: then the row is the whole image."""
        texts = [row.fields[column].strip() for column in self.columns]
        if not any(texts):
            return None
        where = f"{self._file}, line {row.line}: {', '.join(self.columns)} are {texts}"
        try:
            # Where a comma separates no fields, a German spreadsheet has it for the point.
            first, second, third, fourth = (float(text.replace(",", ".")) for text in texts)
        except ValueError as problem:
            raise DataError(f"{where}: give four numbers of pixels, or none for the whole image") from problem
        values = (first, second, third, fourth)
        if not all(abs(value) < _MOST_PX for value in values):
            raise DataError(f"{where}: give numbers of pixels, or none for the whole image")
        if all(0 <= value <= 1 for value in values) and not all(value.is_integer() for value in values):
            raise DataError(f"{where}, shares of the picture: multiply them by its width and height")
        if self.columns in _SIZES:
            values = (first, second, first + third, second + fourth)
        return Box(*(math.floor(value + 0.5) for value in values))

    def _name(self, photograph: str, box: Box, line: int) -> str:
        size = None if box.is_empty else self._size(photograph)
        if size is not None:
            inside = box.within(*size)
            if inside != box and not inside.is_empty:
                self._cut_count += 1
                if len(self._cut) < 3:
                    self._cut.append(f"{crop_name(photograph, box)} (line {line})")
                box = inside
        name = crop_name(photograph, box)
        if os.path.lexists(name):
            raise DataError(f"{self._file}, line {line}: {name} is a file as well as a box; rename the file")
        return name
