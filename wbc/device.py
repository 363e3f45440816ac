"""The device that a command computes on."""

from __future__ import annotations

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
