"""Where a command computes: its setting `device`, and how many threads share the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from wbc.errors import ConfigError


def chosen_device(name: str) -> torch.device:
    """`auto`, which takes CUDA where there is one, or a device as torch names it; ConfigError for others."""
    try:
        if name == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ConfigError(f"device={name}: {error}; give device=cpu or auto") from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes in one thread, for many small steps in turn.

    They are too short to be shared: where other programs want the cores too, threads wait for each other at
    every one.  One thread also sums in one order, whatever the machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
