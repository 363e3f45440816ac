"""Which optional packages are there, without importing them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence


def missing_modules(names: Sequence[str]) -> list[str]:
    """Those of `names` that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]
