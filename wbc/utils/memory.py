"""Memory that torch gives back is kept for its next step."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # parameters of mallopt(3)
_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Tell glibc's malloc not to return freed blocks to the system, for the rest of the process.

    Every layer of a network allocates and frees a few megabytes.  By default the system takes them back each
    time and has to clear new pages for the next layer, which on some machines costs as much as computing.
    The process keeps what it once needed at its peak.  Nothing happens without glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _LARGEST)
