"""The images that predict.py is given, listed on disk: a million names need not fit in memory."""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wbc.datasets.pattern import files_matching
from wbc.datasets.table_paths import BOX_COLUMNS, TablePaths
from wbc.datasets.user_table import TABLES, UserTable, column_names, is_table, listed_lines
from wbc.datasets.walk import PassedOver, images_below, is_image
from wbc.errors import DataError
from wbc.images.boxes import photograph_of
from wbc.images.decode import SUFFIXES
from wbc.images.slides import SUFFIXES as SLIDE_SUFFIXES
from wbc.settings.values import BY_FOLDER
from wbc.utils.files import replacing
from wbc.utils.progress import progress

_LISTS = (*TABLES, ".txt")


log = logging.getLogger(__name__)


class Listed(NamedTuple):
    """An image and the group it is counted in, "" where none was asked for."""

    path: str
    group: str


def write_list(given: str, group: str | None, file: Path, key: str = "images", slides: bool = False) -> None:
    """List the images that `given` names in `file`, in the order in which they are found, each once.

    given: an image, a folder (see `wbc.datasets.walk`), a pattern with * or ?, or a list: a table with a
    column path (`wbc.datasets.user_table`), or .txt with a path a line; relative paths are relative to the
    list.  group: None, BY_FOLDER, or a column of a table.  key: the setting that `given` comes from.
    slides: whether folders may hold whole slides as well.
    Raises DataError where nothing is found, for a list that cannot be used, and for an image in two groups;
    nothing is written then.
    """
    names = array("q")  # a number for each name: a million names need not fit in memory
    with replacing(file) as beside:
        with beside.open("w", encoding="ascii", newline="\n") as lines:
            for listed in progress(_found(given, group, key, slides), "listing", "image"):
                lines.write(json.dumps(listed) + "\n")  # ASCII, whatever bytes a name consists of
                names.append(hash(listed.path))
        if not names:
            is_list = Path(given).expanduser().is_file()
            wanted = ", ".join(SUFFIXES + _slide_suffixes(slides))
            lacks = "the list has no rows" if is_list else f"nothing that ends in {wanted}"
            raise DataError(f"{key}={given}: {lacks}")
        if repeated := _repeated(names):
            _keep_the_first(beside, repeated)


def _repeated(names: array[int]) -> set[int]:
    """The numbers that occur more than once."""
    in_order = np.frombuffer(names, np.int64)
    in_order.sort()
    return set(in_order[1:][in_order[1:] == in_order[:-1]].tolist())


def _keep_the_first(file: Path, repeated: set[int]) -> None:
    """Leave one line for each image in `file`; `repeated` has the numbers of those with more."""
    groups: dict[str, str] = {}
    left_out = 0
    with replacing(file) as beside, beside.open("w", encoding="ascii") as kept, file.open() as lines:
        for line in lines:
            one = Listed(*json.loads(line))
            if hash(one.path) in repeated:
                if one.path in groups and groups[one.path] != one.group:
                    raise DataError(
                        f"{one.path} stands in the groups {groups[one.path]!r} and {one.group!r}: take one "
                        "of the rows out, or leave out group="
                    )
                if one.path in groups:
                    left_out += 1
                    continue
                groups[one.path] = one.group
            kept.write(line)
    log.warning(
        "%d rows name an image that stands above: each image is counted once; rows that are boxes of one "
        "photograph need the columns %s",
        *(left_out, BOX_COLUMNS),
    )


def list_hash(file: Path) -> str:
    """32 hexadecimal digits that change with the list and with the size or date of any image in it."""
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as lines:
        for line in lines:
            digest.update(line)
            try:
                image = os.stat(photograph_of(Listed(*json.loads(line)).path))
                digest.update(f"{image.st_size} {image.st_mtime_ns}".encode())
            except OSError:  # it is listed, and not there: answering says so
                digest.update(b"-")
    return digest.hexdigest()


class ImageList:
    """What `write_list` wrote, read batch by batch; memory holds one number a batch."""

    def __init__(self, file: Path, batch_size: int) -> None:
        self.file = file
        self.batch_size = batch_size
        self.images = 0
        offsets = []
        with file.open("rb") as lines:
            place = 0
            for line in lines:
                if self.images % batch_size == 0:
                    offsets.append(place)
                self.images += 1
                place += len(line)
        self._offsets = np.array(offsets, dtype=np.int64)

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._offsets)

    def batch(self, number: int) -> list[Listed]:
        """The images of one batch, the last of which may be shorter."""
        with self.file.open("rb") as lines:
            lines.seek(int(self._offsets[number]))
            return [Listed(*json.loads(line)) for line in islice(lines, self.batch_size)]


def _slide_suffixes(slides: bool) -> tuple[str, ...]:
    """Of whole slides, where they are asked for."""
    return SLIDE_SUFFIXES if slides else ()


def _found(given: str, group: str | None, key: str, slides: bool) -> Iterator[Listed]:
    path = Path(given).expanduser()
    suffix = path.suffix.lower()
    if path.is_dir():
        return _grouped(_below(os.path.abspath(path), slides), os.path.abspath(path), group)
    if path.is_file() and suffix in _LISTS:
        return _from_table(path, group) if is_table(path) else _from_text(path, group)
    if path.is_file():
        return _grouped(iter([os.path.abspath(path)]), os.path.abspath(path.parent), group)
    if glob.has_magic(given):
        top, files = files_matching(path)
        pictures = (os.path.abspath(file) for file in files if is_image(file, _slide_suffixes(slides)))
        return _grouped(pictures, os.path.abspath(top), group)
    raise DataError(
        f"{key}={given}: no such file or folder; give a folder, an image, a pattern in quotes, or a list "
        "(.csv, .tsv or .txt)"
    )


def _below(top: str, slides: bool) -> Iterator[str]:
    passed_over = PassedOver()
    yield from images_below(top, passed_over, _slide_suffixes(slides))
    passed_over.tell()


def _grouped(paths: Iterator[str], top: str, group: str | None) -> Iterator[Listed]:
    if group not in (None, BY_FOLDER):
        raise DataError(f"group={group}: only a table has columns; give group={BY_FOLDER}, or none")
    for path in paths:
        yield Listed(path, "" if group is None else os.path.relpath(os.path.dirname(path), top))


def _from_text(file: Path, group: str | None) -> Iterator[Listed]:
    paths = TablePaths(file)
    yield from _grouped(map(paths.path, listed_lines(file)), os.path.abspath(file.parent), group)
    paths.tell()


def _from_table(file: Path, group: str | None) -> Iterator[Listed]:
    folder = os.path.abspath(file.parent)
    column = None if group in (None, BY_FOLDER) else column_names([group])[0]
    table = UserTable(file, ["path", *filter(None, [column])])
    paths = TablePaths(file, table)
    for row in table:
        path = paths.path(row)
        in_folder = os.path.relpath(os.path.dirname(path), folder) if group == BY_FOLDER else ""
        yield Listed(path, row.fields[column] if column else in_folder)
    paths.tell()
