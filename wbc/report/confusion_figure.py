"""The figure of a confusion matrix, of one size for one list of classes."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wbc.pages.figure_style import GREY, SMALL, TEXT, TITLE, literal, new_figure, percentage, wrapped

# One hue, lightness falling evenly from white: grey print keeps the order.
_SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#c6dbef", "#6baed6", "#2171b5", "#08306b"])
_ABSENT = "#e6e6e6"
_ABOVE, _RIGHT = 0.6, 1.0  # inches: two lines of title; the bar of shades with its labels
_AXIS_NAME = 0.45  # inches: "true class", "predicted class", and the room about them


def confusion_matrix_figure(confusion: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> Figure:
    """Counts, and percentages of the true class, in a square a pair of classes.

    confusion: C rows of C image counts, rows true, columns predicted.  A class without images has a grey
    row saying so.  The figure's size depends on the classes alone, so that several stand side by side alike;
    a title of more than two lines is cut.  Raises ValueError when the matrix is not C by C.
    """
    counts = np.asarray(confusion)
    size = len(classes)
    if counts.shape != (size, size):
        raise ValueError(
            f"a confusion matrix of {size} classes is {size} by {size}, got shape {counts.shape}"
        )
    support = counts.sum(axis=1)
    row_names = [wrapped(name, 24) for name in classes]
    column_names = [wrapped(name, 16) for name in classes]

    cell = 0.95 if size <= 6 else 0.66  # inches
    slanted = _extent(column_names)[0] > cell  # the names do not fit side by side
    left = _extent([*row_names, "n = 9,999,999"])[0] + _AXIS_NAME
    if slanted:  # at 45 degrees: as far down as to the left, where the first name starts below its column
        below = _extent([literal(name) for name in classes])[0] * 0.71 + 0.1
        left = max(left, below - cell / 2 + 0.1)
    else:
        below = _extent(column_names)[1]
    below += _AXIS_NAME
    side = size * cell
    width, height = left + side + _RIGHT, below + side + _ABOVE
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((left / width, below / height, side / width, side / height))
    edges = np.arange(size + 1) - 0.5
    image = axes.pcolormesh(edges, edges, _shares(counts), cmap=_SHADES, vmin=0, vmax=1)
    axes.invert_yaxis()
    _write_squares(axes, counts)

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
    figure.text(
        0.5, 1 - 0.1 / height, _in_two_lines(title, int(width / 0.095)), fontsize=TITLE, ha="center", va="top"
    )
    axes.tick_params(length=0)
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="#b0b0b0", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    bar_axes = figure.add_axes(((left + side + 0.12) / width, below / height, 0.16 / width, side / height))
    bar = figure.colorbar(image, cax=bar_axes, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(["0 %", "25 %", "50 %", "75 %", "100 %"], fontsize=SMALL)
    bar.set_label("share of the true class", fontsize=SMALL)
    return figure


def _write_squares(axes: Axes, counts: np.ndarray) -> None:
    """Counts and percentages; no text where the class has no image."""
    size, shares = len(counts), _shares(counts)
    count_size, share_size = (11, TEXT) if size <= 6 else (10, 7.5)
    for row in range(size):
        if counts[row].sum() == 0:
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


def _shares(counts: np.ndarray) -> np.ndarray:
    """Of each row's sum; 0 where that is 0."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _extent(texts: Sequence[str]) -> tuple[float, float]:
    """Width of the widest and height of the highest of `texts` as tick labels, in inches."""
    figure = new_figure(1, 1)
    boxes = [figure.text(0, 0, text, fontsize=TEXT).get_window_extent() for text in texts]
    return max(box.width for box in boxes) / figure.dpi, max(box.height for box in boxes) / figure.dpi


def _in_two_lines(text: str, characters: int) -> str:
    """What is too long is cut in the middle: figures stand at the end."""
    lines = textwrap.wrap(text, characters)
    if len(lines) > 2:
        lines = [lines[0], f"… {text[2 - characters :]}"]
    return literal("\n".join(lines))
