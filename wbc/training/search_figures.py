"""Figures of a search: how it went on, what was tried, and which settings matter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from wbc.pages.figure_style import COLOURS, GREY, SMALL, TEXT, TITLE, literal, new_figure, plain_axes
from wbc.training.search_space import Space

_COLOURS = colormaps["viridis_r"]  # dark is better, in grey print too


def progress_figure(trials: Sequence[FrozenTrial]) -> Figure:
    """A dot a trial that ended well, marks where one was pruned or failed, the best so far as a line."""
    figure = new_figure(7.2, 3.2)
    axes = figure.subplots()
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    numbers, values = [trial.number for trial in done], [100 * (trial.value or 0.0) for trial in done]
    axes.plot(numbers, values, "o", color=COLOURS[0], label="ended")
    axes.step(numbers, np.maximum.accumulate(values), where="post", color=COLOURS[1], label="best so far")
    for state, mark, name in ((TrialState.PRUNED, "|", "pruned"), (TrialState.FAIL, "x", "failed")):
        others = [trial.number for trial in trials if trial.state == state]
        if others:
            axes.plot(others, [min(values)] * len(others), mark, color=GREY, label=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial", fontsize=TEXT + 1)
    axes.set_ylabel("macro F1, validation (%)", fontsize=TEXT + 1)
    axes.set_title("How the search went on", fontsize=TITLE)
    axes.legend(fontsize=SMALL, frameon=False)
    plain_axes(axes)
    return figure


def parallel_figure(trials: Sequence[FrozenTrial], space: Space) -> Figure:
    """A line a trial through its settings to its macro F1; the darker, the better.

    trials: of this space; those that ended well are shown.
    """
    done = sorted(
        (trial for trial in trials if trial.state == TrialState.COMPLETE),
        key=lambda trial: trial.value or 0.0,
    )
    values = np.array([100 * (trial.value or 0.0) for trial in done])
    names = [*space, "macro F1 (%)"]
    columns = [_Scale([trial.params[name] for trial in done], space[name]) for name in space]
    columns.append(_Scale(values.tolist(), None))
    heights = np.array([scale.places for scale in columns])  # (settings + 1, trials), each 0..1
    figure = new_figure(max(7.2, 1.6 * len(names)), 4.2)
    axes = figure.subplots()
    shade = Normalize(values.min(), values.max() if values.max() > values.min() else values.min() + 1)
    for place, value in zip(heights.T, values, strict=True):
        axes.plot(
            range(len(names)), place, color=_COLOURS(0.15 + 0.85 * shade(value)), linewidth=1.6, alpha=0.85
        )
    for number, scale in enumerate(columns):
        _draw_scale(axes, number, scale)
    axes.set_xticks(range(len(names)), [literal(name.replace(".", ".\n")) for name in names], fontsize=SMALL)
    axes.set_yticks([])
    axes.set_xlim(-0.3, len(names) - 0.5)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.set_title("What was tried, each line a trial; the darker, the better", fontsize=TITLE)
    return figure


def importance_figure(importance: Mapping[str, float]) -> Figure:
    """A bar a setting, the weightiest above."""
    figure = new_figure(7.2, 1.2 + 0.4 * len(importance))
    axes = figure.subplots()
    axes.barh(range(len(importance)), list(importance.values()), color=COLOURS[0])
    axes.set_yticks(range(len(importance)), [literal(name) for name in importance])
    axes.invert_yaxis()
    axes.set_xlabel("importance", fontsize=TEXT + 1)
    axes.set_title("Which settings matter", fontsize=TITLE)
    plain_axes(axes)
    axes.set_axisbelow(True)
    return figure


class _Scale:
    """Where values lie on an axis of 0 to 1, and what is written beside it: (place, text)."""

    def __init__(self, values: Sequence[Any], distribution: Any) -> None:
        self.marks: list[tuple[float, str]]
        if isinstance(distribution, CategoricalDistribution):
            choices = list(distribution.choices)
            last = max(1, len(choices) - 1)
            self.places = [choices.index(value) / last for value in values]
            self.marks = [(number / last, str(choice)) for number, choice in enumerate(choices)]
            return
        low, high = (
            (min(values), max(values)) if distribution is None else (distribution.low, distribution.high)
        )
        in_logs = bool(getattr(distribution, "log", False))
        ends = [math.log(one) if in_logs else float(one) for one in (low, high)]
        width = ends[1] - ends[0] or 1.0
        self.places = [((math.log(value) if in_logs else value) - ends[0]) / width for value in values]
        middle = math.exp(sum(ends) / 2) if in_logs else sum(ends) / 2
        self.marks = [(0.0, f"{low:.3g}"), (0.5, f"{middle:.3g}"), (1.0, f"{high:.3g}")]


def _draw_scale(axes: Axes, number: int, scale: _Scale) -> None:
    axes.axvline(number, color=GREY, linewidth=0.8)
    for place, text in scale.marks:
        axes.annotate(
            literal(text),
            (number, place),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=SMALL,
            va="center",
        )
