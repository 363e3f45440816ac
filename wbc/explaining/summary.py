"""What the measures of many explanations come to, method by method, with their intervals."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from wbc.heat.overlay import NO_HEAT
from wbc.metrics.intervals import mean_interval

RANDOM, EDGES = "random map", "edge map"  # what every method has to beat
MEASURES = {  # column of explanations.csv -> heading
    "deletion": "deletion ↓",
    "insertion": "insertion ↑",
    "heat_in_cell": "heat in cell",
    "heat_in_cell_over_area": "over area",
    "hit_cell": "hits cell",
    "heat_in_nucleus": "heat in nucleus",
    "heat_in_nucleus_over_area": "over area (nucleus)",
    "hit_nucleus": "hits nucleus",
    "heat_in_cytoplasm": "heat in cytoplasm",
    "heat_in_cytoplasm_over_area": "over area (cytoplasm)",
    "hit_cytoplasm": "hits cytoplasm",
}


def summarise(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """For each method how many images, seconds an image, and mean, low and high of every measure taken.

    frame: rows as in explanations.csv, of images that could be read.  A mean is over the `n` images that have
    that measure: maps without heat have none, and localisation needs a mask.
    """
    summary = {}
    for method, rows in frame.groupby("method", sort=False):
        measured = {
            name: mean_interval(rows[name])._asdict() | {"n": int(rows[name].notna().sum())}
            for name in MEASURES
            if rows[name].notna().any()
        }
        seconds = rows["seconds"].median()
        summary[str(method)] = {
            "layer": rows["layer"].iloc[0],
            "images": len(rows),
            "without_heat": int(rows["note"].str.contains(NO_HEAT).sum()),
            "seconds_an_image": None if math.isnan(seconds) else round(float(seconds), 4),
            **{name: {key: plain(value) for key, value in one.items()} for name, one in measured.items()},
        }
    return summary


def summary_rows(summary: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of the table, with intervals in brackets."""
    taken = [name for name in MEASURES if any(name in one for one in summary.values())]
    headers = ["method", "layer", "images", "no heat", "s/image", *(MEASURES[name] for name in taken)]
    rows = []
    for method, one in summary.items():
        seconds = one["seconds_an_image"]
        counts = [str(one["images"]), str(one["without_heat"]), "" if seconds is None else f"{seconds:.3f}"]
        rows.append([method, one["layer"], *counts, *(_cell(one.get(name)) for name in taken)])
    return headers, rows


def _cell(interval: dict[str, float | None] | None) -> str:
    if interval is None or interval["estimate"] is None:
        return ""
    if interval["low"] is None:
        return f"{interval['estimate']:.3f}"
    return f"{interval['estimate']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


def plain(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 5)
