"""The tables of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from wbc.pages.html import table
from wbc.utils.text_tables import percent, ratio, with_interval

_METRICS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("accuracy", "accuracy", percent),
    ("macro recall", "macro_recall", percent),
    ("macro precision", "macro_precision", percent),
    ("macro F1", "macro_f1", percent),
    ("Cohen's kappa", "cohen_kappa", ratio),
    ("macro AUROC", "macro_auroc", ratio),
    ("ECE, uncalibrated", "ece", percent),
    ("Brier score, uncalibrated", "brier", ratio),
)


def metrics_table(name: str, by_model: Mapping[str, Mapping[str, Any]]) -> Markup:
    """One set: a column a model, with 95 % intervals.  by_model: model -> record of `measured_set`."""
    records = list(by_model.values())
    rows = [
        [title, *(_with_interval(record[key], record["intervals"][key], write) for record in records)]
        for title, key, write in _METRICS
    ]
    if len(records) > 1:  # of a single model, `per_class_table` tells
        rows += _recalls(records)
    return table(["", *by_model], rows, f"{name}: {records[0]['images']:,} images{_absent(records[0])}")


def _recalls(records: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [f"{label} recall (n = {row['support']:,})"]
        + [
            with_interval(record["per_class"][label]["recall"], record["intervals"]["recall"][label])
            for record in records
        ]
        for label, row in records[0]["per_class"].items()
    ]


def per_class_table(name: str, record: Mapping[str, Any]) -> Markup:
    """One set and model, class by class, with its support."""
    rows = [
        [
            label,
            f"{row['support']:,}",
            percent(row["precision"]),
            with_interval(row["recall"], record["intervals"]["recall"][label]),
            percent(row["f1"]),
            ratio(row["auroc"]),
            ratio(row["average_precision"]),
        ]
        for label, row in record["per_class"].items()
    ]
    headers = ["", "images", "precision", "recall", "F1", "AUROC", "average precision"]
    return table(headers, rows, f"{name}, class by class{_absent(record)}")


def mcnemar_table(compared: Mapping[str, Mapping[str, Any]], reported: str) -> Markup:
    """A row for each set and model held against the reported one."""
    rows = []
    for name, models in compared.items():
        for model, record in models.items():
            test = record["mcnemar"]
            rows.append(
                [
                    f"{name}: {model}",
                    f"{test['both_right']:,}",
                    f"{test['only_this_right']:,}",
                    f"{test['only_reported_right']:,}",
                    f"{test['both_wrong']:,}",
                    _p(test["p"]),
                ]
            )
    headers = ["", "both right", "only this one", f"only {reported}", "both wrong", "p"]
    return table(headers, rows, f"Images by which model has them right, against {reported}")


def calibration_table(sets: Mapping[str, Mapping[str, Any]]) -> Markup:
    """ECE and Brier score before and after temperature scaling."""
    rows = [
        [
            name,
            with_interval(record["ece"], record["intervals"]["ece"]),
            with_interval(record["answers"]["ece"], record["answers"]["ece_interval"]),
            ratio(record["brier"]),
            ratio(record["answers"]["brier"]),
        ]
        for name, record in sets.items()
    ]
    headers = ["", "ECE before", "ECE after", "Brier before", "Brier after"]
    return table(headers, rows, "Calibration, before and after temperature scaling")


def answers_table(sets: Mapping[str, Mapping[str, Any]]) -> Markup:
    """How many images are answered, and how well."""
    rows = []
    for name, record in sets.items():
        answers = record["answers"]
        rows.append(
            [
                name,
                f"{record['images']:,}",
                percent(answers["answered_share"]),
                with_interval(answers["answered_accuracy"], answers["answered_accuracy_interval"]),
                percent(answers["uncertain_share"]),
                percent(answers["unknown_share"]),
                percent(answers["unlike_a_crop_share"]),
                with_interval(answers["set_coverage"], answers["set_coverage_interval"]),
                f"{answers['mean_set_size']:.2f}",
            ]
        )
    headers = [
        "",
        "images",
        "answered",
        "accuracy when answered",
        "uncertain",
        "not a known cell",
        "not one cell, or false colours",
        "true class in set",
        "set size",
    ]
    grouped = [name for name, record in sets.items() if record["resampled"] == "groups"]
    caption = "Answers by set; intervals are exact"
    if grouped:
        caption += f", those of {', '.join(grouped)} from a bootstrap over groups"
    return table(headers, rows, caption)


def _absent(record: Mapping[str, Any]) -> str:
    absent = [label for label, row in record["per_class"].items() if row["support"] == 0]
    return f"; none of {', '.join(absent)}, which the macro averages leave out" if absent else ""


def _with_interval(
    value: float | None, interval: Mapping[str, float | None], write: Callable[[float | None], str]
) -> str:
    if write is percent:
        return with_interval(value, interval)
    low, high = interval["low"], interval["high"]
    return write(value) if low is None else f"{write(value)} [{write(low)}, {write(high)}]"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
