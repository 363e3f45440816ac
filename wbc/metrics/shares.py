"""The shares of counted classes, with exact intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wbc.metrics.intervals import exact_interval


def class_shares(counts: Mapping[str, int]) -> dict[str, Any]:
    """How many there are, and of each class count, share and the share's exact 95 % interval.

    Plain values: share is None where nothing was counted.
    """
    total = sum(counts.values())
    shares = {}
    for name, count in counts.items():
        share, low, high = exact_interval(count, total)
        shares[name] = {"count": count, "share": share if total else None, "low": low, "high": high}
    return {"images": total, "classes": shares}
