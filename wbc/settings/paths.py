"""Paths among settings, as they hold from any folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def absolute(path: str | None) -> Any:
    """The path as it holds from any folder, a string; None for None."""
    return None if path is None else str(Path(path).expanduser().absolute())
