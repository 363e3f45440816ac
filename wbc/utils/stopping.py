"""Stopping where Ctrl-C or SIGTERM asks for it: SLURM, containers and `kill` send the latter."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_asked: int | None = None


def heed_signals() -> None:
    """From now on, both raise KeyboardInterrupt in the main thread: on the way out all is closed.

    To be called again where a library has set a handler of its own.
    """
    _handle_by(_stop)


def note_signals() -> None:
    """From now on, the first is noted for work that asks `is_asked_to_stop` often, and a second one raises.

    For work beside threads of a library: an exception between two of its lines can leave a lock closed that
    the way out then waits for.
    """
    _handle_by(_note)


def hand_signals_to(stop: Callable[[], Any]) -> None:
    """From now on, each is noted and `stop` called, for work that ends by a way of its own.

    An exception could come where Python swallows it, in a weak reference's callback amid an import.
    """

    def note(number: int, frame: FrameType | None) -> None:
        global _asked  # noqa: PLW0603  # a signal comes to the process, not to an object
        _asked = number
        stop()

    _handle_by(note)


def _handle_by(handler: Callable[[int, FrameType | None], Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # signals come to the main thread alone, and Python lets no other thread choose their handlers
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Signals are handled afterwards as they were before: a program's own way comes back."""
    global _asked  # noqa: PLW0603  # what was asked of this job is not asked of the next
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        _asked = None
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                signal.signal(number, before[number])


def leave_signals() -> None:
    """Python's own handlers again, where nothing is left to stop: there an exception would come to nobody."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def is_asked_to_stop() -> bool:
    """Whether one has come."""
    return _asked is not None


def exit_code() -> int:
    """128 and the signal's number, as a shell tells it: 143 after SIGTERM, else 130, after Ctrl-C."""
    return 128 + (signal.SIGINT if _asked is None else _asked)


def _stop(number: int, frame: FrameType | None) -> Any:
    global _asked  # noqa: PLW0603  # a signal comes to the process, not to an object
    _asked = number
    raise KeyboardInterrupt


def _note(number: int, frame: FrameType | None) -> Any:
    global _asked  # noqa: PLW0603  # likewise
    if _asked is not None:
        raise KeyboardInterrupt
    _asked = number
