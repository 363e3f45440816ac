"""How far down answers go, to the class or to a superclass, and how right they are at each level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wbc.hierarchy import Hierarchy
from wbc.metrics.with_intervals import drawn_units, share_limits
from wbc.plain.answers import ANSWERED, superclass_of
from wbc.report.set_result import SetResult
from wbc.utils.text_tables import percent, with_interval


def levels_record(result: SetResult) -> dict[str, Any] | None:
    """Plain values; None for a model without superclasses.

    classes: of the images whose class is answered.  superclasses: of those of which no more than that is,
    superclass by superclass, the smallest first.  together: of both.  every_image: of all by their most
    probable class, answered or not.  Each has images, share, right, accuracy with its 95 % interval, and its
    errors: `within`, superclass -> how many, where the answer and the true class share it and no smaller one;
    `across`, where they share none.
    """
    hierarchy = result.hierarchy
    if hierarchy is None or not hierarchy.superclasses:
        return None
    labels = result.of.rows["label"].tolist()
    by_class = np.array([status == ANSWERED for status in result.answers.status])
    superclasses = [superclass_of(status) for status in result.answers.status]
    nodes = [up or label for up, label in zip(superclasses, result.answers.labels, strict=True)]
    units = drawn_units(result.groups, len(labels))

    def counted(among: np.ndarray, named: Sequence[str]) -> dict[str, Any]:
        return _counted(among, named, labels, hierarchy, units)

    return {
        "classes": counted(by_class, nodes),
        "superclasses": {
            name: counted(np.array([one == name for one in superclasses]), nodes) for name in hierarchy.names
        },
        "together": counted(by_class | np.array([one != "" for one in superclasses]), nodes),
        "every_image": counted(np.ones(len(labels), bool), result.answers.labels),
    }


def _counted(
    among: np.ndarray,
    named: Sequence[str],
    labels: Sequence[str],
    hierarchy: Hierarchy,
    units: np.ndarray | None,
) -> dict[str, Any]:
    right = np.array(
        [
            bool(hierarchy.membership[hierarchy.nodes.index(node), hierarchy.classes.index(label)])
            for node, label in zip(named, labels, strict=True)
        ]
    )
    shared = Counter(
        hierarchy.common(named[row], labels[row]) for row in np.flatnonzero(among & ~right).tolist()
    )
    images, count = int(among.sum()), int(right[among].sum())
    return {
        "images": images,
        "share": round(images / len(labels), 6),
        "right": count,
        "accuracy": round(count / images, 6) if images else None,
        "accuracy_interval": share_limits(right, among, units),
        "within": {name: shared[name] for name in hierarchy.names if shared[name]},
        "across": shared[None],
    }


def levels_table(record: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headers and rows, a level a row, of what `levels_record` found."""
    rows = [("the class", record["classes"]), *record["superclasses"].items()]
    rows += [("all answers", record["together"]), ("every image, by its prediction", record["every_image"])]
    headers = ["answered", "images", "share", "right", "wrong within a superclass", "wrong across"]
    return headers, [
        [
            name,
            f"{one['images']:,}",
            percent(one["share"]),
            with_interval(one["accuracy"], one["accuracy_interval"]),
            ", ".join(f"{superclass} {count:,}" for superclass, count in one["within"].items()) or "0",
            f"{one['across']:,}",
        ]
        for name, one in rows
    ]
