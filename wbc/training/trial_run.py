"""One trial of a search: `wbc train` in a process of its own, watched by the history that it writes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from wbc.settings.layout import CONFIG, METRICS, phase_history
from wbc.settings.train import PHASES
from wbc.training.job import objective
from wbc.utils.claim import is_claimed
from wbc.utils.files import read_json

_OUTPUT = "job.txt"
_WATCHED = "val_macro_f1"
_STEPS_OF_A_PHASE = 10_000  # more than it has epochs: epochs of one phase are compared with one another


class TrialRun:
    """A process that trains in `folder`, or goes on there with what it had.

    words: settings as typed.  threads: as many as it may compute with.
    """

    def __init__(self, folder: Path, words: Sequence[str], threads: int) -> None:
        self.folder = folder
        self._words = list(words)
        self._threads = threads
        self._seen = 0
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._start_when_free()

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        self._start_when_free()
        return None if self._process is None else self._process.poll()

    def _start_when_free(self) -> None:
        """A sweep that was killed leaves its trials running: each is waited for before it is gone on with."""
        if self._process is not None or is_claimed(self.folder):
            return
        goes_on = (self.folder / CONFIG).is_file()
        said = [f"resume_from={self.folder}"] if goes_on else [*self._words, f"hydra.run.dir={self.folder}"]
        here = str(Path(__file__).resolve().parents[2])
        environment = {"OMP_NUM_THREADS": str(self._threads)} | dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        with (self.folder / _OUTPUT).open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "wbc", "train", *said],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C comes to the sweep alone, which then stops its trials
            )

    @property
    def value(self) -> float | None:
        """Macro F1 of the validation images by the final model; None where there is none."""
        if not (self.folder / METRICS).is_file():
            return None
        value = objective(read_json(self.folder / METRICS))
        return value if math.isfinite(value) else None

    @property
    def last_words(self) -> str:
        """The last line that it printed."""
        said = (self.folder / _OUTPUT).read_text(encoding="utf-8", errors="replace").strip()
        return said.splitlines()[-1] if said else "it said nothing"

    def new_epochs(self) -> list[tuple[int, float]]:
        """Step and macro F1 of the epochs that ended since this was asked last."""
        found: list[tuple[int, float]] = []
        for number, phase in enumerate(PHASES):
            file = phase_history(self.folder, phase)
            if file.is_file():
                rows = pd.read_csv(file)
                found += [
                    (number * _STEPS_OF_A_PHASE + int(epoch), float(score))
                    for epoch, score in zip(rows["epoch"], rows[_WATCHED], strict=True)
                ]
        new = found[self._seen :]
        self._seen = len(found)
        return [(step, score) for step, score in new if math.isfinite(score)]

    def stop(self, timeout_s: float = 60) -> None:
        """As `kill` does, after which it can go on; by force where it does not heed that."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
