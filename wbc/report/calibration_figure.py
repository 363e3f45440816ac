"""The reliability diagram: what share of the answers is right, against how sure they were."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from torch import Tensor

from wbc.metrics.calibration import expected_calibration_error, reliability
from wbc.metrics.classification import checked_scores
from wbc.metrics.intervals import exact_interval
from wbc.pages.figure_style import COLOURS, GREY, TEXT, TITLE, new_figure, percentage, plain_axes, wrapped


def reliability_figure(
    probabilities: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    title: str,
    unscaled: Tensor | None = None,
) -> Figure:
    """Share right against mean confidence in each bin, with how many images it holds below.

    The bins are those of `expected_calibration_error`, whose value stands above; bars are exact 95 %
    intervals of the share.  Points below the diagonal are too sure of themselves.

    probabilities: (N, C), rows summing to 1.  labels: (N,) in [0, C).  unscaled: (N, C), the probabilities
    before temperature scaling, drawn to the left of `probabilities`.
    Raises ValueError as `checked_scores` does.
    """
    sets = {"": probabilities}
    if unscaled is not None:
        sets = {"before temperature scaling": unscaled, "after": probabilities}
    checked = {name: checked_scores(scores, labels, classes) for name, scores in sets.items()}

    figure = new_figure(0.6 + 3.9 * len(checked), 5.4)
    figure.suptitle(wrapped(title, 44 * len(checked)), fontsize=TITLE)
    panels = figure.subplots(
        2, len(checked), sharex=True, sharey="row", squeeze=False, gridspec_kw={"height_ratios": [3, 1]}
    )
    for (name, (scores, true)), (shares, counts) in zip(checked.items(), panels.T, strict=True):
        _plot_bins(shares, counts, scores, true)
        error = f"ECE {percentage(expected_calibration_error(scores, true))}"
        shares.set_title(f"{name}: {error}" if name else error, fontsize=TEXT + 1)
        counts.set_xlabel("confidence (highest probability)", fontsize=TEXT + 1)
    shares, counts = panels[:, 0]
    shares.set_ylabel("share right", fontsize=TEXT + 1)
    counts.set_ylabel("images (log)", fontsize=TEXT + 1)
    # Outside: in a poorly calibrated lab points may lie anywhere.
    figure.legend(
        *shares.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=TEXT, frameon=False
    )
    return figure


def _plot_bins(shares: Axes, counts: Axes, probabilities: Tensor, labels: Tensor) -> None:
    bins = reliability(probabilities, labels)
    confidences = [one.confidence for one in bins]
    accuracies = np.array([one.accuracy for one in bins])
    exact = [exact_interval(round(one.accuracy * one.images), one.images) for one in bins]
    # An end may miss the share itself by a rounding error.
    down = np.maximum(accuracies - [interval.low for interval in exact], 0)
    up = np.maximum([interval.high for interval in exact] - accuracies, 0)
    shares.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=1, label="as sure as right")
    shares.errorbar(
        confidences,
        accuracies,
        yerr=[down, up],
        color=COLOURS[0],
        linestyle="none",
        marker="o",
        markersize=4.5,
        elinewidth=1.2,
        capsize=2,
        clip_on=False,
        label="share right, 95 % interval",
    )
    counts.bar(
        [one.low for one in bins],
        [one.images for one in bins],
        width=[one.high - one.low for one in bins],
        align="edge",
        color=COLOURS[6],
        edgecolor="white",
        linewidth=0.6,
    )
    shares.set(xlim=(0, 1), ylim=(0, 1))
    counts.set_yscale("log")  # a bin of one image shows beside one of thousands
    counts.set_ylim(bottom=0.5)
    counts.yaxis.set_major_locator(LogLocator(numticks=5))
    counts.yaxis.set_minor_locator(NullLocator())
    counts.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for axes in (shares, counts):
        plain_axes(axes)
