"""A process that runs to its end, and what it took."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Usage:
    """peak_memory_mib: what the process had resident at most, or one that it started; not all together.

    cores_elsewhere: how many cores other programs used meanwhile, on average; None where the system does
    not tell.
    """

    peak_memory_mib: float
    cores_elsewhere: float | None


def run_measured(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Usage:
    """Run `command` to its end; RuntimeError with what it said last where it fails.

    It is ended with all that it started when this process is interrupted.
    """
    busy, started = _busy_s(), time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # a group of its own
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            said = log.read().decode(errors="replace")[-4000:].strip()
            if process.returncode < 0:  # its last line would be no reason
                said += f"\nended by signal {-process.returncode}"
            raise RuntimeError(f"{' '.join(command)} failed:\n{said}")
    elsewhere = None
    if busy is not None and (now := _busy_s()) is not None:
        others_s = now - busy - usage.ru_utime - usage.ru_stime
        elsewhere = max(0.0, others_s / (time.monotonic() - started))
    return Usage(usage.ru_maxrss / 2**10, elsewhere)


def _busy_s() -> float | None:
    """Seconds that all cores together have computed since the start, where Linux tells."""
    with suppress(OSError):
        words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
        user, nice, system, _idle, _waiting, interrupts, soft_interrupts, *_ = map(int, words[1:])
        return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")
    return None
