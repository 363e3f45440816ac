"""The figure of a confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wbc.pages.figure_style import GREY, SMALL, TEXT, TITLE, literal, new_figure, percentage, wrapped

# One hue, lightness falling evenly from white: grey print keeps the order.
_SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#c6dbef", "#6baed6", "#2171b5", "#08306b"])
_ABSENT = "#e6e6e6"


def confusion_matrix_figure(confusion: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> Figure:
    """Counts, and percentages of the true class, in a square a pair of classes.

    confusion: C rows of C image counts, rows true, columns predicted.  A class without images has a grey
    row saying so.  Raises ValueError when the matrix is not C by C.
    """
    counts = np.asarray(confusion)
    size = len(classes)
    if counts.shape != (size, size):
        raise ValueError(
            f"a confusion matrix of {size} classes is {size} by {size}, got shape {counts.shape}"
        )
    support = counts.sum(axis=1)
    shares = counts / np.maximum(support, 1)[:, None]
    row_names = [wrapped(name, 24) for name in classes]
    column_names = [wrapped(name, 16) for name in classes]

    cell = 0.95 if size <= 6 else 0.66  # inches
    count_size, share_size = (11, TEXT) if size <= 6 else (10, 7.5)
    widest = 0.085 * max(len(line) for name in column_names for line in name.split("\n"))  # inches
    slanted = widest > cell  # the names do not fit side by side
    below = 0.06 * max(map(len, classes)) if slanted else 0.0
    figure = new_figure(size * cell + 3.0, size * cell + 1.2 + below)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1)
    for row in range(size):
        if support[row] == 0:
            axes.add_patch(Rectangle((-0.5, row - 0.5), size, 1, facecolor=_ABSENT))
            axes.text(
                size / 2 - 0.5, row, "no images", ha="center", va="center", fontsize=TEXT, color="#404040"
            )
            continue
        for column in range(size):
            shade = "white" if shares[row, column] > 0.5 else "black"
            colour = shade if counts[row, column] else GREY
            for text, fontsize, place in (
                (f"{counts[row, column]:,}", count_size, "bottom"),
                (percentage(shares[row, column]), share_size, "top"),
            ):
                axes.text(column, row, text, ha="center", va=place, fontsize=fontsize, color=colour)

    if slanted:
        tilt: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(size), [literal(name) for name in classes], fontsize=TEXT, **tilt)
    else:
        axes.set_xticks(range(size), column_names, fontsize=TEXT)
    axes.set_yticks(
        range(size),
        [f"{name}\nn = {n:,}" for name, n in zip(row_names, support, strict=True)],
        fontsize=TEXT,
    )
    axes.set_xlabel("predicted class", fontsize=TEXT + 1)
    axes.set_ylabel("true class", fontsize=TEXT + 1)
    axes.set_title(wrapped(title, 56), fontsize=TITLE)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#b0b0b0", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    bar_axes = axes.inset_axes((1.02, 0, 0.16 / (size * cell), 1))
    bar = figure.colorbar(image, cax=bar_axes, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(["0 %", "25 %", "50 %", "75 %", "100 %"], fontsize=SMALL)
    bar.set_label("share of the true class", fontsize=SMALL)
    return figure
