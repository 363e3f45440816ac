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

log = logging.getLogger(__name__)

_TABLE = (
    "CREATE TABLE IF NOT EXISTS checked_image ("
    "path TEXT PRIMARY KEY, decoder TEXT, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, "
    "hash TEXT) WITHOUT ROWID"
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


def stamp(path: str) -> Stamp:
    """The stamp of a file, for a box its photograph's; one that no file has where it cannot be looked at."""
    try:
        status = os.stat(photograph_of(path))
    except OSError:  # `examine` will say what is wrong with it
        return Stamp(-1, -1, -1, -1)
    inode = status.st_ino % 2**63  # what SQLite can hold
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode)


def recall(file: Path, stamps: Mapping[str, Stamp]) -> dict[str, str]:
    """The pixel hashes known for files of absolute path and `stamps`; unknown and changed ones are absent.

    A damaged cache is begun anew and one that cannot be opened is done without, each with a warning.
    """
    known: dict[str, str] = {}
    with _mending(file), closing(_open(file)) as store:
        for path, stamp in stamps.items():
            row = store.execute(
                "SELECT hash FROM checked_image WHERE path = ? AND decoder = ? "
                "AND size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ?",
                (path, DECODER, *stamp),
            ).fetchone()
            if row:
                known[path] = row[0]
    return known


def remember(file: Path, found: Sequence[tuple[str, Stamp, str]]) -> None:
    """Keeps (path, stamp, pixel hash) of files that decode; several runs may do so at once."""
    with _mending(file), closing(_open(file)) as store, store:
        store.executemany(
            "INSERT OR REPLACE INTO checked_image VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(path, DECODER, *stamp, pixels) for path, stamp, pixels in found],
        )


def _open(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    store = sqlite3.connect(file, timeout=30)  # seconds to wait for another run that is writing
    store.execute(_TABLE)
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
