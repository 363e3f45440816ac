"""A command as users type it, in a process of its own that need not import torch first.

Processes are forked from a server that has imported everything: a command then starts in milliseconds instead
of ten seconds.  Arguments, folder, output, exit code and signals are those of a command that was typed.
"""

import multiprocessing
import os
import resource
import runpy
import subprocess
import sys
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.helpers.places import ROOT

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *(
            f"wbc.{verb}ing.job"
            for verb in ("train", "explain", "evaluat", "predict", "adapt", "export", "review", "serv")
        ),
        "wbc.reviewing.app",
        "wbc.serving.app",
        "wbc.training.run_report",
        "wbc.__main__",
        "matplotlib.pyplot",
        "tests.helpers.commands",
    ]
)


class Started:
    """`program` (a script at the top, or `wbc`) with its words, running in `folder`."""

    def __init__(self, program: str, *words: str, cwd: Path = ROOT) -> None:
        self.words = (program, *words)
        self._output = tempfile.TemporaryDirectory()
        self.files = [Path(self._output.name) / name for name in ("stdout", "stderr")]
        self.process: BaseProcess = _CONTEXT.Process(
            target=_be, args=(self.words, cwd, self.files, dict(os.environ)), daemon=False
        )
        self.process.start()

    def ended(self, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """What it printed and its exit code, once it has ended."""
        self.process.join(timeout_s)
        if self.process.is_alive():
            self.process.kill()
            raise subprocess.TimeoutExpired(self.words, timeout_s)
        printed = [path.read_text() for path in self.files]
        self._output.cleanup()
        return subprocess.CompletedProcess(self.words, self.process.exitcode or 0, *printed)

    def wait_until(self, condition, timeout_s: float = 240) -> None:
        """Until `condition()` holds; the command must not end before, or take longer."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.is_alive(), self.ended()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def allow_files_of(self, most_bytes: int) -> None:
        """No file that it writes from now on may be larger, as where a disk or a quota is full."""
        assert self.process.pid is not None
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    def send(self, signal_number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal_number)


def typed(program: str, *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Type a command and wait for its end."""
    return Started(program, *words, cwd=cwd).ended()


def _be(words: tuple[str, ...], folder: Path, files: list[Path], environment: dict[str, str]) -> None:
    for number, path in enumerate(files, start=1):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    program, *rest = words
    if program == "wbc":
        sys.argv = [program, *rest]
        runpy.run_module("wbc", run_name="__main__", alter_sys=True)
    else:
        sys.argv = [str(ROOT / program), *rest]
        runpy.run_path(sys.argv[0], run_name="__main__")
