"""A command of wbc that ends with whoever started it, and then leaves nothing half-made.

    python -m wbc.reviewing.attended <folder> <file that is written last> <verb> <words>

Who starts it holds its standard input open: once that is closed, be it by death, the command is stopped.  The
folder is removed unless the file is there when it ends.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from wbc.utils.progress import tell_every
from wbc.utils.stopping import heed_signals

_PATIENCE_S = 20  # for a computation that hears no signal
_LESS_URGENT = 10  # who decides meanwhile comes first
_TOLD_EVERY_S = 1.0


def _main(folder: Path, last: Path, words: list[str]) -> None:
    heed_signals()
    try:  # before the thread, which may stop it at once
        threading.Thread(target=_stopped_with_its_starter, args=(folder, last), daemon=True).start()
        if hasattr(os, "nice"):
            os.nice(_LESS_URGENT)
        tell_every(_TOLD_EVERY_S)
        sys.argv = ["wbc", *words]
        runpy.run_module("wbc", run_name="__main__", alter_sys=True)
    finally:
        _leave_nothing_unfinished(folder, last)


def _stopped_with_its_starter(folder: Path, last: Path) -> None:
    # Not sys.stdin: its lock, held by a thread, would spoil the end of the process.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_S)
    _leave_nothing_unfinished(folder, last)
    os._exit(128 + signal.SIGTERM)


def _leave_nothing_unfinished(folder: Path, last: Path) -> None:
    if not last.exists():
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
