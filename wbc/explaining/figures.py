"""Figures of how far explanations can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from wbc.heat.lime import STABLE, Stability
from wbc.pages.figure_style import COLOURS, GREY, SMALL, TEXT, TITLE, line_style, new_figure


def randomisation_figure(frame: pd.DataFrame) -> Figure:
    """Likeness to the trained network's maps, from the head down.

    frame: rows of `wbc.heat.randomisation.cascade` with a column `method`.
    """
    figure = new_figure(9, 4.2)
    axes = figure.subplots(1, 2, sharey=True)
    stages = list(frame["stage"].unique())
    for axis, (column, title) in zip(
        axes,
        [("rank_correlation", "Spearman's rank correlation"), ("ssim", "structural similarity")],
        strict=True,
    ):
        for index, (method, rows) in enumerate(frame.groupby("method", sort=False)):
            means = rows.groupby("stage")[column].mean().reindex(stages)
            axis.plot(["trained", *stages], [1.0, *means], label=str(method), **line_style(index))
        axis.axhline(0, color=GREY, linewidth=0.8)
        axis.set_title(title, fontsize=TITLE)
        axis.tick_params(axis="x", rotation=60, labelsize=SMALL)
        axis.set_xlabel("randomised down to", fontsize=TEXT)
    lines, names = axes[0].get_legend_handles_labels()
    figure.legend(
        lines, names, loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False, handlelength=3.6
    )
    return figure


def stability_figure(found: Sequence[Stability]) -> Figure:
    """Rank correlation between seeds by number of samples, one line an image."""
    figure = new_figure(5, 3.6)
    axis = figure.subplots()
    for one in found:
        axis.plot(list(one.correlations), list(one.correlations.values()), color=COLOURS[0], marker="o")
    axis.axhline(STABLE, color=GREY, linewidth=0.8)
    axis.set_xscale("log")
    counts = list(found[0].correlations)
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.minorticks_off()
    axis.set_xlabel("samples", fontsize=TEXT)
    axis.set_ylabel("rank correlation between seeds", fontsize=TEXT)
    return figure
