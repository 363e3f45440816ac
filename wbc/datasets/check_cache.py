"""What the image check found, remembered between runs while a file is untouched."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from wbc.images.boxes import photograph_of
from wbc.images.decode import DECODER
from wbc.images.thumbnail import KIND

log = logging.getLogger(__name__)

_TABLES = (
    "CREATE TABLE IF NOT EXISTS checked_image ("
    "path TEXT PRIMARY KEY, decoder TEXT, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, "
    "hash TEXT) WITHOUT ROWID",
    # By pixel hash: many files may show one picture, and older releases kept no thumbnails.
    "CREATE TABLE IF NOT EXISTS thumbnail (hash TEXT PRIMARY KEY, kind TEXT, grey BLOB)",
)


class Stamp(NamedTuple):
    """What tells that a file is still the same without reading it: bytes and nanoseconds.

    A program can set `mtime_ns`, as copying with dates does; `ctime_ns` tells of every write, and `inode` of
    another file in this one's place (on Windows, `ctime_ns` is the date of birth).
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Checked(NamedTuple):
    """A file that decodes, and what it shows."""

    path: str
    stamp: Stamp
    pixels: str
    thumbnail: bytes


def stamp(path: str) -> Stamp:
    """The stamp of a file, for a box its photograph's; one that no file has where it cannot be looked at."""
    try:
        status = os.stat(photograph_of(path))
    except OSError:  # `examine` will say what is wrong with it
        return Stamp(-1, -1, -1, -1)
    inode = status.st_ino % 2**63  # what SQLite can hold
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode)


def recall(file: Path, stamps: Mapping[str, Stamp]) -> tuple[dict[str, str], dict[str, bytes]]:
    """Path -> pixel hash, and pixel hash -> thumbnail, for files of absolute path and `stamps`.

    Unknown and changed ones are absent.  A damaged cache is begun anew and one that cannot be opened is done
    without, each with a warning.
    """
    known: dict[str, str] = {}
    thumbnails: dict[str, bytes] = {}
    with _mending(file), closing(_open(file)) as store:
        for path, stamp in stamps.items():
            row = store.execute(
                "SELECT hash, grey FROM checked_image JOIN thumbnail USING (hash) WHERE path = ? "
                "AND decoder = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ? AND kind = ?",
                (path, DECODER, *stamp, KIND),
            ).fetchone()
            if row:
                known[path], thumbnails[row[0]] = row[0], row[1]
    return known, thumbnails


def remember(file: Path, found: Sequence[Checked]) -> None:
    """Keeps what was found of files that decode; several runs may do so at once."""
    with _mending(file), closing(_open(file)) as store, store:
        store.executemany(
            "INSERT OR REPLACE INTO checked_image VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(one.path, DECODER, *one.stamp, one.pixels) for one in found],
        )
        store.executemany(
            "INSERT OR REPLACE INTO thumbnail VALUES (?, ?, ?)",
            [(one.pixels, KIND, one.thumbnail) for one in found],
        )


def _open(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    store = sqlite3.connect(file, timeout=30)  # seconds to wait for another run that is writing
    for table in _TABLES:
        store.execute(table)
    return store


@contextmanager
def _mending(file: Path) -> Iterator[None]:
    """Nothing that happens to the cache may stop a run: it only saves time."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as problem:  # locked, read-only, no space, no permission
        log.warning("%s cannot be used (%s): images are checked without it", file, problem)
    except sqlite3.DatabaseError as problem:
        log.warning("%s is damaged (%s): it is begun anew", file, problem)
        file.unlink(missing_ok=True)
