"""A training step in a process of its own: started once, then asked for a few steps at a time.

Between two requests it waits on its standard input and uses no processor, so that several implementations
can take turns, and each has its own peak memory.  Only the standard library: it is imported by both
environments.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

try:
    import resource  # not on Windows, where peak memory is then left open
except ImportError:
    resource = None  # type: ignore[assignment]


class StepChild:
    """The asking side.  Ends the process when left, whatever state it is in."""

    def __init__(self, command: list[str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed in __exit__
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )

    def ask(self, steps: int) -> dict[str, Any]:
        """Have it run `steps` training steps: `seconds` of each, `peak_memory_mib` so far, and more."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{steps}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._log.seek(0)
            log = self._log.read().decode(errors="replace")[-4000:]
            raise RuntimeError(f"{' '.join(map(str, self._process.args))} ended early:\n{log}")
        return json.loads(answer)

    def __enter__(self) -> StepChild:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Requests:
    """The answering side.  Standard output is kept for answers: what libraries print goes to the log."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def __iter__(self) -> Iterator[int]:
        """Numbers of steps asked for, until the other side ends."""
        for line in sys.stdin:
            yield int(line)

    def answer(self, seconds: list[float], **more: Any) -> None:
        """Send the duration of each step; `more` replaces or adds to what is sent."""
        content = {"seconds": seconds, "peak_memory_mib": peak_memory_mib()} | more
        self._answers.write(json.dumps(content) + "\n")
        self._answers.flush()


def peak_memory_mib() -> float | None:
    """The most memory that this process has had resident so far."""
    if resource is None:
        return None
    unit = 2**20 if platform.system() == "Darwin" else 2**10  # ru_maxrss is in bytes there, else in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def child_command(python: str | Path, script: str, arguments: list[str]) -> list[str]:
    """How to start `script`, which lies beside this file."""
    return [str(python), str(Path(__file__).with_name(script)), *arguments]
