"""Decisions, each on the disk before it is acknowledged, and none ever changed: undoing is a decision too.

SQLite in WAL mode with synchronous=FULL (sqlite.org/pragma.html): what was acknowledged is there after a kill
and after a power cut.  Triggers refuse to alter or remove a row.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wbc.errors import DataError, WbcError
from wbc.reviewing.cells import Cells
from wbc.reviewing.verdicts import OPEN, UNDONE, Verdicts

_APPLICATION = 0x57424352  # "WBCR"
_VERSION = 1
_TABLES = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
CREATE TABLE reviewed (predictions TEXT NOT NULL);
CREATE TABLE decisions (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  step INTEGER NOT NULL,
  at TEXT NOT NULL,
  reviewer TEXT NOT NULL,
  cell INTEGER NOT NULL,
  path TEXT NOT NULL,
  kind TEXT NOT NULL,
  before TEXT NOT NULL,
  after TEXT NOT NULL,
  undoes INTEGER
);
CREATE INDEX by_cell ON decisions (cell);
CREATE INDEX by_step ON decisions (step);
CREATE TRIGGER no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'only added to'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'only added to'); END;
"""
_ADD = (
    "INSERT INTO decisions (step, at, reviewer, cell, path, kind, before, after, undoes) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class NotKeptError(WbcError):
    """A decision could not be written, and so was not taken."""


class Decision(NamedTuple):
    """A row: of one key press or click, a `step`, there is a row a cell.

    at: UTC.  before, after: the reviewer's own verdicts in words, "" for none.  undoes: the step, if it does.
    """

    number: int
    step: int
    at: str
    reviewer: str
    cell: int
    path: str
    kind: str
    before: str
    after: str
    undoes: int | None


class Decisions:
    """What every reviewer decided, in the file `path`, and in arrays for whoever counts."""

    def __init__(self, path: Path, cells: Cells, predictions: str) -> None:
        """predictions: a hash of the table; decisions of another one are refused.

        Raises DataError for a file that is damaged, or of other predictions.
        """
        self.verdicts = Verdicts(cells.classes)
        self._path = path
        self._cells = cells
        self._lock = threading.Lock()
        self._of: dict[str, np.ndarray] = {}
        self._steps: dict[str, list[int]] = defaultdict(list)  # of each reviewer, those that can be undone
        self._last = 0
        try:
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._open(predictions)
        except sqlite3.Error as error:
            raise DataError(
                f"{path} cannot be used ({error}); put back a copy of it, or move it away and begin anew"
            ) from error

    def _open(self, predictions: str) -> None:
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")
        if not self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._file.executescript(f"BEGIN; {_TABLES}")
            self._file.execute("INSERT INTO reviewed VALUES (?)", (predictions,))
            self._file.execute("COMMIT")
        told = self._file.execute("PRAGMA quick_check").fetchone()[0]
        if told != "ok":
            raise sqlite3.DatabaseError(" ".join(told.split()))
        versions = tuple(
            self._file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if versions != (_APPLICATION, _VERSION):
            raise sqlite3.DatabaseError("it is none of this release of wbc")
        if self._file.execute("SELECT predictions FROM reviewed").fetchone() != (predictions,):
            raise DataError(
                f"{self._path} holds decisions about other predictions than there are now: give another "
                "output=<folder>, or put the old table back"
            )
        for row in self.rows():
            self._take(row)

    def close(self) -> None:
        """Nothing can be decided any more."""
        self._file.close()

    @property
    def reviewers(self) -> list[str]:
        """Who has decided anything, by name."""
        return sorted(self._of)

    def of(self, reviewer: str) -> np.ndarray:
        """(N,) int16: the reviewer's verdicts, OPEN where there is none.  Not to be written to."""
        return self._of.get(reviewer, np.full(len(self._cells), OPEN, np.int16))

    def decide(self, reviewer: str, cells: Sequence[int], verdict: int | None) -> int:
        """The same verdict about each of `cells`, or None: it is what it is called; returns how many changed.

        It is on the disk when this returns.  Raises NotKeptError where that cannot be; then nothing changes.
        """
        with self._lock:
            now, called = self.of(reviewer), self._cells.prediction
            if verdict is None:
                after = {cell: int(called[cell]) for cell in cells if now[cell] == OPEN}
            else:
                after = {cell: verdict for cell in cells if now[cell] != verdict}
            kinds = [self.verdicts.kind(one, int(called[cell])) for cell, one in after.items()]
            self._add(reviewer, list(after), kinds, list(after.values()), None)
            return len(after)

    def undo(self, reviewer: str) -> list[tuple[int, int]]:
        """Take the reviewer's last step back; returns its cells with the verdicts of before, [] for none.

        Raises NotKeptError as `decide` does.
        """
        with self._lock:
            if not self._steps[reviewer]:
                return []
            step = self._steps[reviewer][-1]
            found = self._file.execute(
                "SELECT cell, before FROM decisions WHERE step = ?", (step,)
            ).fetchall()
            cells = [cell for cell, _ in found]
            before = [self.verdicts.number(word) for _, word in found]
            self._add(reviewer, cells, [UNDONE] * len(cells), before, step)
            return list(zip(cells, before, strict=True))

    def can_undo(self, reviewer: str) -> bool:
        """Whether there is a step to take back."""
        return bool(self._steps.get(reviewer))

    def rows(self, cell: int | None = None) -> list[Decision]:
        """All decisions, or those about one cell, in the order in which they were taken."""
        where, values = ("", ()) if cell is None else ("WHERE cell = ?", (cell,))
        with self._lock:
            found = self._file.execute(f"SELECT * FROM decisions {where} ORDER BY number", values).fetchall()
        return [Decision(*row) for row in found]

    def _add(
        self,
        reviewer: str,
        cells: Sequence[int],
        kinds: Sequence[str],
        after: Sequence[int],
        undoes: int | None,
    ) -> None:
        if not cells:
            return
        now = self.of(reviewer)
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        step = self._last + 1
        words = self.verdicts.word
        rows = [
            (
                step,
                at,
                reviewer,
                cell,
                self._cells.path(cell),
                kind,
                words(int(now[cell])),
                words(verdict),
                undoes,
            )
            for cell, kind, verdict in zip(cells, kinds, after, strict=True)
        ]
        try:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany(_ADD, rows)
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise NotKeptError(f"not kept: {self._path} could not be written ({error})") from error
        for row in rows:
            self._take(Decision(0, *row))

    def _take(self, row: Decision) -> None:
        """A row that is on the disk, into the arrays."""
        if row.reviewer not in self._of:
            self._of[row.reviewer] = np.full(len(self._cells), OPEN, np.int16)
        self._of[row.reviewer][row.cell] = self.verdicts.number(row.after)
        steps = self._steps[row.reviewer]
        if row.undoes is not None:
            if steps and steps[-1] == row.undoes:
                steps.pop()
        elif not steps or steps[-1] != row.step:
            steps.append(row.step)
        self._last = max(self._last, row.step)
