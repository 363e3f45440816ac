"""Settling the model into this lab by what was reviewed: measured first, used where a reviewer asks for it.

`wbc adapt` and then `wbc predict` run as processes of their own, one at a time.  All that they write lies in
a folder of its own below the review's; predictions and decisions are read and never written.
"""

from __future__ import annotations

import logging
import shlex
import threading
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wbc.datasets.enough_cells import lacking_to_adapt
from wbc.errors import DataError, WbcError
from wbc.reviewing.answering_model import AnsweringModel
from wbc.reviewing.background import BackgroundCommand
from wbc.reviewing.cells import Cells
from wbc.reviewing.decisions import Decisions
from wbc.reviewing.exports import write_labelled
from wbc.reviewing.order import review_order
from wbc.reviewing.settled import MEASURED, NAMED, Settled, next_folder, settled_folders
from wbc.reviewing.tally import DISAGREED, shared_verdicts, tally
from wbc.settings.layout import CONFIG
from wbc.settings.quoting import mapping_in_shell, plain_or_quoted
from wbc.settings.saved_config import read_config
from wbc.utils.files import write_json

log = logging.getLogger(__name__)

MEASURING, NAMING = "measuring", "naming"


class NotNowError(WbcError):
    """What was asked for cannot be begun as things stand; the message says why."""


class _Running(NamedTuple):
    what: str
    by: str
    command: BackgroundCommand
    settled: Settled


class Settling:
    """All that the page asks and is told of it, from any thread.

    folder: of the review.  table: the predictions' file.  What a killed server left unfinished in `folder` is
    removed.
    """

    def __init__(
        self, cells: Cells, decisions: Decisions, model: AnsweringModel, folder: Path, table: str
    ) -> None:
        self._cells, self._decisions, self._model = cells, decisions, model
        self._folder, self._table = folder, table
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._failed = ""
        for one in settled_folders(folder):
            one.clear()
        left = settled_folders(folder)
        self._latest = left[-1] if left else None
        self._named: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """Plain values: what may be begun, what is running, and what came of the last time."""
        with self._lock:
            self._look_at_what_runs()
            labelled = self._labelled()
            latest = self._latest
            return {
                "missing": self._model.missing,
                "lacking": self._lacking(labelled),
                "labelled": labelled,
                "used": self._used(),
                "running": None if self._running is None else _told(self._running),
                "failed": self._failed,
                "stage": "" if latest is None else latest.stage,
                "measured": None if latest is None else latest.told,
                "named": self._told_of_names(),
            }

    def begin(self, reviewer: str) -> None:
        """Measure what the cells labelled by now gain.

        Raises NotNowError where something runs, or too few cells are labelled; CheckpointError without model.
        """
        with self._lock:
            self._refuse_while_running()
            model = self._model.checked()
            if lacking := self._lacking(self._labelled()):
                raise NotNowError(lacking)
            settled = next_folder(self._folder)
            settled.folder.mkdir()
            used = self._used()
            write_json(settled.record, used | {"by": reviewer, "at": _now(), "model": str(model)})
            write_labelled(settled.labelled, self._cells, self._shared())
            words = [
                "adapt",
                _word("checkpoint", str(model)),
                _word("data", str(settled.labelled)),
                *self._words_of_mix(),
                _word("hydra.run.dir", str(settled.adapted)),
            ]
            self._run(MEASURING, reviewer, words, settled, settled.folder, settled.model)

    def use(self, reviewer: str) -> None:
        """Have all cells named anew by the model that was measured last.

        Raises NotNowError where something runs, or there is none; DataError where it is not known how the
        images were answered.
        """
        with self._lock:
            self._refuse_while_running()
            if self._latest is None or self._latest.stage != MEASURED:
                raise NotNowError(
                    "there is no measured model that has not named the cells yet: measure one first"
                )
            settled = self._latest
            words = [
                "predict",
                _word("checkpoint", str(settled.model)),
                *self._words_of_predictions(),
                _word("output", str(settled.predictions)),
            ]
            self._run(NAMING, reviewer, words, settled, settled.predictions, settled.differential)

    def cancel(self) -> None:
        """End what runs; nothing of it is kept.  Raises NotNowError where nothing runs."""
        with self._lock:
            self._look_at_what_runs()
            running = self._running
        if running is None:
            raise NotNowError("nothing is running that could be cancelled")
        running.command.stop()
        with self._lock:
            self._look_at_what_runs()

    def close(self) -> None:
        """As `cancel`, where something runs."""
        running = self._running
        if running is not None and running.command.is_running:
            running.command.stop()
            running.settled.clear()

    def _run(self, what: str, by: str, words: list[str], settled: Settled, folder: Path, last: Path) -> None:
        log.info("%s began %s: %s", by, what, settled.folder)
        self._failed = ""
        self._running = _Running(what, by, BackgroundCommand(words, folder, last), settled)

    def _look_at_what_runs(self) -> None:
        running = self._running
        if running is None or running.command.is_running:
            return
        self._running = None
        if running.command.has_finished:
            self._latest, self._named = running.settled, None
            return
        running.settled.clear()
        if not running.command.is_stopped:
            self._failed = running.command.why
            log.warning("%s failed: %s", running.what, self._failed)

    def _refuse_while_running(self) -> None:
        self._look_at_what_runs()
        if self._running is not None:
            since = datetime.fromtimestamp(self._running.command.began).strftime("%H:%M:%S")
            raise NotNowError(
                f"{self._running.by} began {self._running.what} at {since}, which still runs: wait for it, "
                "or cancel it"
            )

    def _shared(self) -> np.ndarray:
        """(N,) what all reviewers say who said anything."""
        verdicts = [self._decisions.of(name) for name in self._decisions.reviewers]
        return shared_verdicts(verdicts, len(self._cells))

    def _labelled(self) -> dict[str, int]:
        """Cells of each class."""
        shared, classes = self._shared(), self._cells.classes
        counts = np.bincount(shared[(shared >= 0) & (shared < len(classes))], minlength=len(classes))
        return dict(zip(classes, counts.tolist(), strict=True))

    def _lacking(self, labelled: dict[str, int]) -> str:
        """Why these are too few, in a sentence."""
        shared = self._shared()
        of_class = [self._cells.photograph[shared == place] for place in range(len(self._cells.classes))]
        apart = max(len(np.unique(photographs)) for photographs in of_class)
        needed = lacking_to_adapt(labelled, apart)
        if not needed:
            return ""
        total = sum(labelled.values())
        return (
            f"{total} labelled {'cell is' if total == 1 else 'cells are'} too few to settle by: it takes "
            f"{needed}. About ten of each class are enough to begin with."
        )

    def _used(self) -> dict[str, Any]:
        """What is taken and what is not, in numbers."""
        shared, classes = self._shared(), len(self._cells.classes)
        labelled = (shared >= 0) & (shared < classes)
        return {
            "cells": int(labelled.sum()),
            "ordinary": int((labelled & self._is_ordinary).sum()),
            "not_counted": int((shared >= classes).sum()),
            "disagreed": int((shared == DISAGREED).sum()),
        }

    @cached_property
    def _is_ordinary(self) -> np.ndarray:
        """(N,) bool: of the less doubtful half of all cells."""
        found = np.zeros(len(self._cells), bool)
        found[review_order(self._cells)[len(self._cells) // 2 :]] = True
        return found

    def _words_of_mix(self) -> list[str]:
        """How often this lab has each class, as the differential stands; none where a class cannot be typed.

        Not estimated from cells without labels: that made the next slide worse (docs/results/review.md).
        """
        classes = tally(self._cells, self._shared())["reviewed"]["classes"]
        word = mapping_in_shell("mix", {name: str(one["count"]) for name, one in classes.items()})
        return [] if word is None else shlex.split(word)

    def _words_of_predictions(self) -> list[str]:
        """The settings by which the images under review were answered, as words of a command line."""
        path = self._model.predictions / CONFIG
        if not path.is_file():
            raise DataError(
                f"there is no {path}, which says how the images were answered: have them answered anew by "
                f"wbc predict checkpoint={self._latest.model if self._latest else '<model.ckpt>'}"
            )
        values = read_config(path)
        if not isinstance(values.get("images"), str):
            raise DataError(f"{path} names no images: it is not of the predictions beside it")
        words = [_word("images", values["images"]), _word("table", self._table)]
        if values.get("group") is not None:
            words.append(_word("group", str(values["group"])))
        flags = [f"{key}={str(values.get(key) is True).lower()}" for key in ("fields", "overlap")]
        return [*words, *flags]

    def _told_of_names(self) -> dict[str, Any] | None:
        latest = self._latest
        if latest is None or latest.stage != NAMED:
            return None
        if self._named is None:
            self._named = latest.named_otherwise(self._cells, self._table)
        return self._named


def _word(key: str, value: str) -> str:
    """As Hydra reads it, whatever signs a path holds."""
    return f"{key}={plain_or_quoted(value)}"


def _told(running: _Running) -> dict[str, Any]:
    command = running.command
    began = datetime.fromtimestamp(command.began, timezone.utc).isoformat(timespec="seconds")
    return {
        "what": running.what,
        "by": running.by,
        "began": began,
        "said": command.said,
        "share": command.share,
    }


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
