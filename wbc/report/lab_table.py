"""The table lab by lab: how right a model is on each set, and how far its answers can be trusted there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wbc.utils.text_tables import mean_of_labs, percent, with_interval

MEANS = {True: "in-lab mean", False: "other-lab mean"}
_PLAIN = ("accuracy", "macro_f1")
_ANSWERS = ("ece", "answered_share", "answered_accuracy", "unknown_share", "set_coverage")


def lab_means(sets: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Means over the sets of the model's own lab and over the others, each set counting the same.

    sets: as `wbc.report.set_result.set_record`.  What is not measured on one of the sets
    has no mean.  Sets that the model was trained or calibrated on are in no mean.
    """
    means = {}
    for in_lab, title in MEANS.items():
        records = [record for record in sets.values() if record["in_lab"] is in_lab and not record["note"]]
        if not records:
            continue
        values: dict[str, Any] = {key: mean_of_labs([record[key] for record in records]) for key in _PLAIN}
        if all(record["answers"] is not None for record in records):
            values |= {key: mean_of_labs([record["answers"][key] for record in records]) for key in _ANSWERS}
        means[title] = {"sets": len(records), "images": sum(one["images"] for one in records)} | values
    return means


def labs_table(
    sets: Mapping[str, Mapping[str, Any]], means: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], list[list[str]]]:
    """Headers and rows: a set a row, then the means over more than one.

    A model without a rule of answers has fewer columns.
    """
    with_answers = all(record["answers"] is not None for record in sets.values())
    headers = ["", "images", "accuracy", "macro F1"]
    if with_answers:
        headers += ["ECE", "answered", "accuracy when answered", "not a known cell", "true class in set"]
    rows = []
    for name, record in sets.items():
        star = " *" if record["note"] else ""
        row = [f"{name}{star}", f"{record['images']:,}"]
        row += [with_interval(record[key], record["intervals"][key]) for key in _PLAIN]
        if with_answers:
            answers = record["answers"]
            row += [
                percent(answers["ece"]),
                percent(answers["answered_share"]),
                with_interval(answers["answered_accuracy"], answers["answered_accuracy_interval"]),
                percent(answers["unknown_share"]),
                percent(answers["set_coverage"]),
            ]
        rows.append(row)
    for title, mean in means.items():
        if mean["sets"] < 2:
            continue
        keys = [*_PLAIN, *(_ANSWERS if with_answers else ())]
        rows.append(
            [f"{title} ({mean['sets']})", f"{mean['images']:,}", *(percent(mean[key]) for key in keys)]
        )
    return headers, rows
