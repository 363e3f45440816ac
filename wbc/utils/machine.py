"""How many processor cores this process may use, and how its helpers keep to theirs."""

from __future__ import annotations

import os

import cv2


def available_cores() -> int:
    """What a container or a batch system grants, where the system tells; else what the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def opencv_in_one_thread(worker: int) -> None:
    """For a loader process, which is one of several: OpenCV's own threads would fight for the same cores."""
    cv2.setNumThreads(0)


def default_workers() -> int:
    """Loader processes where none are asked for: a core is left to the training process."""
    return max(1, min(available_cores() - 1, 16))
