"""Stopping as Ctrl-C does where SIGTERM asks for it: SLURM, containers and `kill` send that."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

_asked = False


def heed_sigterm() -> None:
    """From now on, SIGTERM raises KeyboardInterrupt in the main thread: on the way out all is closed.

    To be called again where a library has set a handler of its own.
    """
    signal.signal(signal.SIGTERM, _stop)


def exit_code() -> int:
    """128 and the signal's number, as a shell tells it: 143 after SIGTERM, else 130, after Ctrl-C."""
    return 128 + (signal.SIGTERM if _asked else signal.SIGINT)


def _stop(number: int, frame: FrameType | None) -> Any:
    global _asked  # noqa: PLW0603  # a signal comes to the process, not to an object
    _asked = True
    raise KeyboardInterrupt
