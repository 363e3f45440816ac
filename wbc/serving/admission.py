"""How much may wait: requests and their bytes are counted before a body is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_BODIES = 4  # of the greatest size; many small ones may wait, few large ones


class FullError(Exception):
    """No room for a further request now."""


class Admission:
    """Room for `requests` at once, and for the bytes of a few of the largest.  Used by one event loop.

    most_bytes: of one request's body.
    """

    def __init__(self, requests: int, most_bytes: int) -> None:
        self.requests = requests
        self.waiting = 0
        self._most_bytes = most_bytes
        self._bytes = 0

    @contextmanager
    def room(self, announced: int | None) -> Iterator[None]:
        """For one request until it is answered.  announced: bytes of its body; None where it does not tell.

        Raises FullError.
        """
        taken = self._most_bytes if announced is None else announced
        if self.waiting >= self.requests or self._bytes + taken > _BODIES * self._most_bytes:
            raise FullError
        self.waiting += 1
        self._bytes += taken
        try:
            yield
        finally:
            self.waiting -= 1
            self._bytes -= taken
