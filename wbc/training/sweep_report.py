"""What helps to choose between the jobs of a sweep: a table, a plot and a page, of validation images alone.

Test sets are left out: what is chosen on them is no longer tested by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from wbc.metrics.with_intervals import measured_set
from wbc.pages.figure_style import COLOURS, TEXT, TITLE, new_figure, plain_axes, save_figure, wrapped
from wbc.pages.html import Section, picture, table, write_page
from wbc.settings.layout import METRICS, PREDICTIONS
from wbc.utils.durations import in_words
from wbc.utils.files import read_json, write_text
from wbc.utils.text_tables import NOT_MEASURED, markdown_table, percent, with_interval

_HEADERS = ["job", "settings", "macro F1 [95 %]", "accuracy", "parameters", "trained", "time"]
COMPLETE = "complete"
_REMARK = (
    "Macro F1 and accuracy are of the validation images, by the final model, best first. The intervals say "
    "how far they would change with other images. Where they overlap, take the smaller or quicker model, or "
    "repeat with other seeds. Test sets have no column: what is chosen on them is not tested by them."
)


@dataclass(frozen=True)
class SweepJob:
    """One job: its number, what was typed for it, its macro F1 (None: it failed), and `job_figures`.

    ended: `COMPLETE`, or what the table says instead of figures: failed, unfinished, pruned.
    """

    job: int
    settings: list[str]
    val_macro_f1: float | None
    figures: dict[str, Any] = field(default_factory=dict)
    ended: str = "failed"


def job_figures(folder: Path) -> dict[str, Any]:
    """Of a finished run: accuracy and macro F1 of its validation images with intervals, size and seconds.

    {} for a folder that has none, as that of a job which went on in another.
    """
    if not (folder / METRICS).exists():
        return {}
    metrics = read_json(folder / METRICS)
    phases = list(metrics["phases"].values())
    classes = metrics["classes"]
    rows = pd.read_csv(folder / PREDICTIONS, dtype={"group": str, "label": str}, keep_default_na=False)
    rows = rows[rows["data"] == "val"]
    measured = measured_set(
        torch.from_numpy(rows[classes].to_numpy(np.float64)),
        torch.tensor([classes.index(label) for label in rows["label"]]),
        classes,
        rows["group"].tolist(),
    )
    return {
        "accuracy": measured["accuracy"],
        "macro_f1": measured["macro_f1"],
        "macro_f1_interval": measured["intervals"]["macro_f1"],
        "largest_class_share": max(measured["per_class"][name]["support"] for name in classes) / len(rows),
        "parameters": phases[-1]["parameters"],
        "trainable_parameters": phases[-1]["trainable_parameters"],
        "seconds": round(sum(phase["seconds"] for phase in phases), 3),
    }


def best_first(jobs: Sequence[SweepJob]) -> list[SweepJob]:
    """By macro F1; those that failed come last."""
    return sorted(jobs, key=lambda job: 1.0 if job.val_macro_f1 is None else -job.val_macro_f1)


def write_sweep(folder: Path, jobs: Sequence[SweepJob], more: Sequence[Section] = ()) -> str:
    """sweep.md, sweep.png and sweep.html of the jobs so far, best first; returns the table.

    more: what else the page shows.
    """
    ordered = best_first(jobs)
    names = _differences(ordered)
    rows = [[job.job, name, *_cells(job)] for job, name in zip(ordered, names, strict=True)]
    text = markdown_table(_HEADERS, rows)
    best = ordered[0].figures
    is_guess = bool(best) and best["accuracy"] <= best["largest_class_share"]
    warning = ["The best job is no better than always naming the largest class."] if is_guess else []
    write_text(folder / "sweep.md", "\n\n".join([*warning, text, _REMARK]) + "\n")
    parts: list[str] = [*warning, table(_HEADERS, rows, "The jobs, best first")]
    if any(job.figures for job in ordered):
        save_figure(_figure(ordered, names), folder / "sweep.png", svg=False)
        parts.append(picture(folder / "sweep.png", "macro F1 of each job with its interval"))
    sections = [Section("Validation", [*parts, _REMARK]), *more]
    write_page(folder / "sweep.html", f"Sweep: {len(jobs)} jobs", sections)
    return text


def _differences(jobs: Sequence[SweepJob]) -> list[str]:
    """The settings of each job that not all of them share."""
    shared = set.intersection(*(set(job.settings) for job in jobs))
    return [" ".join(one for one in job.settings if one not in shared) or NOT_MEASURED for job in jobs]


def _cells(job: SweepJob) -> list[str]:
    if job.val_macro_f1 is None:
        return [job.ended, *[NOT_MEASURED] * 4]
    if not job.figures:
        return [percent(job.val_macro_f1), *[NOT_MEASURED] * 4]
    return [
        with_interval(job.figures["macro_f1"], job.figures["macro_f1_interval"]),
        percent(job.figures["accuracy"]),
        f"{job.figures['parameters']:,}",
        f"{job.figures['trainable_parameters']:,}",
        in_words(job.figures["seconds"]),
    ]


def _figure(jobs: Sequence[SweepJob], names: Sequence[str]) -> Figure:
    """A dot a job, with its interval; the best above."""
    shown = [(job, name) for job, name in zip(jobs, names, strict=True) if job.figures]
    # In lines: where many settings differ, one line would leave no room for the dots.
    labels = [wrapped(f"{job.job}: {name}", 42) for job, name in shown]
    most_lines = max(label.count("\n") for label in labels) + 1
    figure = new_figure(7.2, 1.4 + (0.2 + 0.2 * most_lines) * len(shown))
    axes = figure.subplots()
    for place, (job, _) in enumerate(shown):
        score, interval = job.figures["macro_f1"], job.figures["macro_f1_interval"]
        if interval["low"] is not None:
            axes.plot([interval["low"], interval["high"]], [place, place], color=COLOURS[0], linewidth=1.5)
        axes.plot(score, place, "o", color=COLOURS[0])
    axes.set_yticks(range(len(shown)), labels)
    axes.invert_yaxis()
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("macro F1 of the validation images, with its 95 % interval", fontsize=TEXT + 1)
    axes.set_title(wrapped("Jobs of the sweep, best first", 60), fontsize=TITLE)
    plain_axes(axes)
    return figure
