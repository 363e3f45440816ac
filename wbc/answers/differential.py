"""The differential: how many white blood cells of each class, with exact intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from wbc.metrics.shares import class_shares
from wbc.plain.answers import ANSWERED, UNCERTAIN, UNKNOWN, superclass_of
from wbc.plain.lab_check import ELSEWHERE
from wbc.plain.picture_check import SEVERAL_CELLS, SWAPPED
from wbc.utils.text_tables import markdown_table

_SELDOM = (ELSEWHERE, SEVERAL_CELLS, SWAPPED)  # told where there are any


class Differential:
    """Counts answers as they come; memory holds a number for each class and status."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.unreadable = 0

    def add(self, label: str, status: str) -> None:
        """One image; its most probable class, and how far the answer goes."""
        self.counts[label, status] += 1

    def record(self) -> dict[str, Any]:
        """Plain values.  `answered` counts answered images only, `all` every readable one by its class.

        Each class has its count, its share and the share's exact 95 % interval (Clopper & Pearson 1934),
        which takes the classes as they are told: errors of the classifier are not in it.
        """
        by_status = Counter[str]()
        for (_, status), count in self.counts.items():
            by_status[status] += count
        return {
            "images": self.counts.total() + self.unreadable,
            "unreadable": self.unreadable,
            "status": dict(sorted(by_status.items())),
            "answered": self._shares({ANSWERED}),
            "all": self._shares(set(by_status)),
        }

    def _shares(self, statuses: set[str]) -> dict[str, Any]:
        counts = {name: sum(self.counts[name, status] for status in statuses) for name in self.classes}
        return class_shares(counts) | {"within_5_points": _cells_within(counts, sum(counts.values()))}


_WITHIN = 0.05  # of a share, to either side
_NORMAL = 1.96  # standard errors: 95 %


def _cells_within(counts: dict[str, int], total: int) -> int | None:
    """How many cells it takes, as a rule, until every interval reaches no further than 5 points to either
    side: by the class whose share is nearest to a half. None where no share is known.
    """
    if not total:
        return None
    spread = max(share * (1 - share) for share in (count / total for count in counts.values()))
    return math.ceil(_NORMAL**2 * max(spread, 1 / total) / _WITHIN**2)


def differential_table(record: dict[str, Any]) -> str:
    """A `Differential.record` in Markdown: a row a class, answered images and all of them."""
    rows = []
    for name, answered in record["answered"]["classes"].items():
        every = record["all"]["classes"][name]
        rows.append([name, *_cells(answered), *_cells(every)])
    totals = f"{record['answered']['images']:,}", f"{record['all']['images']:,}"
    rows.append(["total", totals[0], "", "", totals[1], "", ""])
    headers = ["", "answered", "%", "95 % interval", "all", "%", "95 % interval"]
    by_superclass = [one for one in record["status"] if superclass_of(one)]
    seldom = [one for one in _SELDOM if one in record["status"]]
    statuses = [ANSWERED, *by_superclass, UNCERTAIN, UNKNOWN, *seldom]
    enough = record["answered"]["within_5_points"]
    more = 0 if enough is None else enough - record["answered"]["images"]
    told = ", ".join(f"{record['status'].get(status, 0):,} {status}" for status in statuses)
    table = (
        f"{record['images']:,} images: {told}, {record['unreadable']:,} unreadable\n\n"
        f"{markdown_table(headers, rows)}"
    )
    if more > 0:
        table += (
            f"\n\nAbout {more:,} more answered cells would narrow every interval to 5 points to either side."
        )
    return table


def _cells(share: dict[str, Any]) -> tuple[str, str, str]:
    if share["share"] is None:
        return f"{share['count']:,}", "–", "–"
    return (
        f"{share['count']:,}",
        f"{100 * share['share']:.1f}",
        f"{100 * share['low']:.1f} to {100 * share['high']:.1f}",
    )
