"""A command of wbc beside the server, one at a time: what it says, how far it is, and how it ended."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

_LINES = 200  # that are kept
_PATIENCE_S = 30  # after it was told to stop
_OF = re.compile(r": ([\d,]+) of ([\d,]+) ")
_ERROR = "error: "


class BackgroundCommand:
    """Started when it is made.

    last: the file that it writes last.  folder: removed where it ends without that file, as it does when this
    process does.
    """

    def __init__(self, words: Sequence[str], folder: Path, last: Path) -> None:
        self.began = time.time()
        self._folder, self._last = folder, last
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._is_stopped = False
        command = [sys.executable, "-m", "wbc.reviewing.attended", str(folder), str(last), *words]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name=words[0], daemon=True)
        self._reader.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._reader.is_alive()

    @property
    def has_finished(self) -> bool:
        """Whether what it was to write is there: some images that could not be read are no matter."""
        return not self.is_running and self._last.exists()

    @property
    def is_stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._is_stopped

    @property
    def said(self) -> str:
        """Its last line."""
        return self._lines[-1] if self._lines else ""

    @property
    def share(self) -> float | None:
        """How far it is with what it last said to be doing, 0 to 1; None where it does not tell."""
        found = _OF.search(self.said)
        if found is None:
            return None
        done, of = (int(number.replace(",", "")) for number in found.groups())
        return done / of if of else None

    @property
    def why(self) -> str:
        """What it said was wrong."""
        lines = list(self._lines)
        errors = [place for place, line in enumerate(lines) if line.startswith(_ERROR)]
        told = lines[errors[-1] :] if errors else lines[-3:]
        return "\n".join(told).removeprefix(_ERROR)

    def stop(self) -> None:
        """It stops, removes its folder, and has ended when this returns."""
        self._is_stopped = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.join(_PATIENCE_S)
        if self.is_running:
            self._process.kill()
            self._reader.join(_PATIENCE_S)
            if not self._last.exists():  # what is killed removes nothing
                shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip():
                self._lines.append(line.rstrip())
        code = self._process.wait()
        log.info("%s ended with %d", self._reader.name, code)
