"""Paths among settings, as they hold from any folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PRETRAINED = "pretrained"  # the model that travels with wbc, where a path of a model is asked for


def model_path(given: str | None) -> Any:
    """The file of a model as it holds from any folder, a string; None for None.  A file of that name wins."""
    if given == PRETRAINED and not Path(given).exists():
        return str(Path(__file__).resolve().parents[1] / "pretrained" / "model.ckpt")
    return absolute(given)


def absolute(path: str | None) -> Any:
    """The path as it holds from any folder, a string; None for None."""
    return None if path is None else str(Path(path).expanduser().absolute())
