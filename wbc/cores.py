"""How many processor cores this process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """What a container or a batch system grants, where the system tells; else what the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
