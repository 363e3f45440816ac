"""Whether a server answers at all, asked before a library that would try for minutes."""

from __future__ import annotations

import socket

_WAIT_S = 10


def check_answers(machine: str, port: int) -> None:
    """Raise OSError, which says why, where nothing answers there.  machine: a name or an address."""
    try:
        socket.create_connection((machine.strip("[]"), port), _WAIT_S).close()
    except OverflowError as error:
        raise OSError(f"{port} is no port") from error
