"""The figures of a run, legible in print, in grey and to colour-blind readers; no window, no pyplot."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torchmetrics.functional.classification import binary_roc

from wbc.files import replacing
from wbc.metrics import checked_scores, one_vs_rest_auroc

DPI = 180

# Okabe & Ito 2008, told apart with any colour vision; its yellow is too pale for a line on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
# Six dashes and seven colours: 42 classes before a line looks like another. Dashes carry the grey print.
_DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.5)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (9, 2.5)),
    (0, (3, 1.2, 1, 1.2, 1, 1.2)),
)
# One hue, lightness falling evenly from white: grey print keeps the order.
_SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#c6dbef", "#6baed6", "#2171b5", "#08306b"])
_GREY = "#767676"  # the palest grey that still reads as text on white (WCAG AA, 4.5 : 1)
_ABSENT = "#e6e6e6"

_TITLE, _TEXT, _SMALL = 11, 9, 8  # points


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of line number `index`, as keywords of `Axes.plot`."""
    return {"color": _COLOURS[index % len(_COLOURS)], "linestyle": _DASHES[index % len(_DASHES)]}


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
    row_names = [_wrapped(name, 24) for name in classes]
    column_names = [_wrapped(name, 16) for name in classes]

    cell = 0.95 if size <= 6 else 0.66  # inches
    count_size, share_size = (11, _TEXT) if size <= 6 else (10, 7.5)
    widest = 0.085 * max(len(line) for name in column_names for line in name.split("\n"))  # inches
    slanted = widest > cell  # the names do not fit side by side
    below = 0.06 * max(map(len, classes)) if slanted else 0.0
    figure = _figure(size * cell + 3.0, size * cell + 1.2 + below)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1)
    for row in range(size):
        if support[row] == 0:
            axes.add_patch(Rectangle((-0.5, row - 0.5), size, 1, facecolor=_ABSENT))
            axes.text(
                size / 2 - 0.5, row, "no images", ha="center", va="center", fontsize=_TEXT, color="#404040"
            )
            continue
        for column in range(size):
            shade = "white" if shares[row, column] > 0.5 else "black"
            colour = shade if counts[row, column] else _GREY
            for text, fontsize, place in (
                (f"{counts[row, column]:,}", count_size, "bottom"),
                (_percentage(shares[row, column]), share_size, "top"),
            ):
                axes.text(column, row, text, ha="center", va=place, fontsize=fontsize, color=colour)

    if slanted:
        tilt: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(size), [_literal(name) for name in classes], fontsize=_TEXT, **tilt)
    else:
        axes.set_xticks(range(size), column_names, fontsize=_TEXT)
    axes.set_yticks(
        range(size),
        [f"{name}\nn = {n:,}" for name, n in zip(row_names, support, strict=True)],
        fontsize=_TEXT,
    )
    axes.set_xlabel("predicted class", fontsize=_TEXT + 1)
    axes.set_ylabel("true class", fontsize=_TEXT + 1)
    axes.set_title(_wrapped(title, 56), fontsize=_TITLE)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#b0b0b0", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    bar_axes = axes.inset_axes((1.02, 0, 0.16 / (size * cell), 1))
    bar = figure.colorbar(image, cax=bar_axes, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(["0 %", "25 %", "50 %", "75 %", "100 %"], fontsize=_SMALL)
    bar.set_label("share of the true class", fontsize=_SMALL)
    return figure


def roc_figure(probabilities: Tensor, labels: Tensor, classes: Sequence[str], title: str) -> Figure:
    """Each class's ROC curve against all others, its AUC in the legend, the upper left corner enlarged.

    probabilities: (N, C), rows summing to 1.  labels: (N,) in [0, C).
    The enlarged corner is drawn when it has something to show and hides no curve. Classes for which no
    curve is defined are named in the legend.  Raises ValueError as `checked_scores` does.
    """
    probabilities, labels = checked_scores(probabilities, labels, classes)
    areas = one_vs_rest_auroc(probabilities, labels)
    figure = _figure(8.0, 5.2)
    axes = figure.add_subplot()
    curves: list[tuple[np.ndarray, np.ndarray, dict[str, Any]]] = []  # false and true positive rates, style
    for index, (name, area) in enumerate(zip(classes, areas, strict=True)):
        is_class = (labels == index).long()
        images, entry = int(is_class.sum()), _wrapped(name, 28)
        if area is None:
            why = "no images" if images == 0 else "no other class to tell it from"
            axes.plot([], [], color="none", label=f"{entry}  {why}")
            continue
        false_rate, true_rate = (rate.numpy() for rate in binary_roc(probabilities[:, index], is_class)[:2])
        style = {
            **line_style(index),
            # Thinner and thinner, so that a curve still shows beneath one that covers it.
            "linewidth": 3.0 - 1.8 * index / len(classes),
        }
        label = f"{entry}  AUC {_area(area)} (n = {images:,})"
        axes.plot(false_rate, true_rate, **style, label=label, clip_on=False)
        curves.append((false_rate, true_rate, style))
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, zorder=1, label="chance  AUC 0.500")

    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("false positive rate (1 - specificity)", fontsize=_TEXT + 1)
    axes.set_ylabel("true positive rate (recall)", fontsize=_TEXT + 1)
    axes.set_title(_wrapped(title, 56), fontsize=_TITLE)
    axes.tick_params(labelsize=_TEXT)
    axes.grid(color="#e0e0e0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    legend = figure.legend(
        loc="outside right center", fontsize=_TEXT, frameon=False, handlelength=3.6, labelspacing=0.7
    )
    for text in legend.get_texts():
        if "AUC" not in text.get_text():
            text.set_color(_GREY)
    _enlarge_corner(axes, curves)
    return figure


def _enlarge_corner(axes: Axes, curves: Sequence[tuple[np.ndarray, np.ndarray, dict[str, Any]]]) -> None:
    # How far each curve stays from the corner, in the rate where it is farther. Within 0.1 it lies above 0.9
    # from there on and leaves the lower right free; beyond, the whole plot shows it as well; at 0 nothing is
    # left to enlarge.
    knee = max(
        (np.maximum(false_rate, 1 - true_rate).min() for false_rate, true_rate, _ in curves), default=0
    )
    if not 0 < knee <= 0.1:
        return
    side = next(side for side in (0.02, 0.05, 0.1, 0.2) if 2 * knee <= side)
    axes.add_patch(Rectangle((0.37, 0.08), 0.62, 0.63, facecolor="white", zorder=1.5))  # over the chance line
    inset = axes.inset_axes((0.49, 0.16, 0.47, 0.47))
    for false_rate, true_rate, style in curves:
        inset.plot(false_rate, true_rate, **style)
    ticks = np.linspace(0, side, 3)
    inset.set(xlim=(0, side), ylim=(1 - side, 1), aspect="equal")
    inset.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    inset.set_yticks(1 - ticks, [f"{1 - tick:g}" for tick in ticks])
    inset.tick_params(labelsize=_SMALL)
    inset.set_title("upper left corner, enlarged", fontsize=_SMALL, pad=4)
    inset.grid(color="#e0e0e0", linewidth=0.6)


# Panel, column of the history, name in the legend, and how it is drawn.
_CURVES: tuple[tuple[int, str, str, dict[str, Any]], ...] = (
    (0, "train_loss", "training loss", {"color": _COLOURS[1], "linestyle": _DASHES[1], "marker": "o"}),
    (0, "val_loss", "validation loss", {"color": _COLOURS[0], "marker": "s"}),
    (
        1,
        "train_accuracy",
        "training accuracy",
        {"color": _COLOURS[1], "linestyle": _DASHES[1], "marker": "o"},
    ),
    (1, "val_accuracy", "validation accuracy", {"color": _COLOURS[0], "marker": "s"}),
    (
        1,
        "val_macro_f1",
        "validation macro-F1",
        {"color": _COLOURS[2], "linestyle": _DASHES[3], "marker": "D"},
    ),
    (2, "lr", "learning rate", {"color": _COLOURS[4], "drawstyle": "steps-mid", "marker": "o"}),
)
_STAR: dict[str, Any] = {
    "linestyle": "none",
    "marker": "*",
    "markersize": 11,
    "markeredgecolor": "black",
    "zorder": 5,
}


def training_curves_figure(history: pd.DataFrame) -> Figure:
    """Loss, accuracy and macro-F1, and learning rate over the epochs of all phases, one after the other.

    history: one row an epoch, in order of training. Columns: `phase`, `epoch` (from 0 in each phase),
    `train_loss`, `val_loss`, `val_accuracy`, `val_macro_f1`, `lr`, `is_best` (bool: the epoch whose weights
    its phase kept), and `train_accuracy` where it was logged. NaN leaves a gap. Epochs are drawn from 1.
    Raises ValueError for no rows and for missing columns.
    """
    expected = ["phase", "epoch", "train_loss", "val_loss", "val_accuracy", "val_macro_f1", "lr", "is_best"]
    missing = [column for column in expected if column not in history]
    if missing or history.empty:
        raise ValueError(
            f"the training history has {len(history)} epochs and lacks the columns {missing or 'none'}: "
            "expected one row an epoch, as training logs them"
        )
    figure = _figure(7.2, 7.4)
    panels = figure.subplots(3, sharex=True, gridspec_kw={"height_ratios": [3, 3, 1.5]})
    phases = list(dict.fromkeys(history["phase"]))
    start = 0.5  # left edge of the phase; epoch 1 is drawn at 1
    for number, phase in enumerate(phases):
        rows = history[history["phase"] == phase]
        _plot_phase(panels, rows, start, labelled=number == 0)
        end = start + int(rows["epoch"].max()) + 1
        panels[0].annotate(
            f"phase: {_literal(str(phase))}",
            ((start + end) / 2, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=_TEXT + 1,
        )
        start = end

    for axes, name in zip(panels, ("loss", "accuracy, macro-F1", "learning rate"), strict=True):
        axes.set_ylabel(name, fontsize=_TEXT + 1)
        axes.tick_params(labelsize=_TEXT)
        axes.grid(color="#e0e0e0", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[:2]:
        handles, _ = axes.get_legend_handles_labels()
        handles.append(Line2D([], [], label="best epoch of the phase", markerfacecolor="white", **_STAR))
        axes.legend(handles=handles, fontsize=_SMALL, framealpha=0.9)
    if (history["lr"] > 0).any():  # a log axis of zeros warns and stays empty
        panels[2].set_yscale("log")
    panels[2].set_xlabel("epoch", fontsize=_TEXT + 1)
    panels[2].set_xlim(0.5, start)
    panels[2].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def _plot_phase(panels: Sequence[Axes], rows: pd.DataFrame, start: float, labelled: bool) -> None:
    epochs = start + 0.5 + rows["epoch"].to_numpy()
    best = rows["is_best"].to_numpy(dtype=bool)
    for panel, column, label, style in _CURVES:
        if column not in rows:
            continue
        values = rows[column].to_numpy(dtype=float)
        panels[panel].plot(
            epochs, values, **style, linewidth=1.6, markersize=3, label=label if labelled else None
        )
        if column.startswith("val"):
            panels[panel].plot(epochs[best], values[best], markerfacecolor=style["color"], **_STAR)
    if start > 1:
        for axes in panels:
            axes.axvline(start, color="#404040", linewidth=1, linestyle=(0, (2, 2)))


def image_page_figure(
    images: Sequence[np.ndarray], captions: Sequence[str], title: str, columns: int
) -> Figure:
    """A page of images in rows of `columns`, each with its caption above it.

    images: (H, W, 3) uint8 each, of any and different sizes.  captions: one an image, wrapped to its width.
    Raises ValueError for no images, another number of captions, fewer than one column, and an array that
    is no such image, naming its place.
    """
    if not images or len(captions) != len(images) or columns < 1:
        raise ValueError(
            f"a page of images needs at least one image, a caption for each and one column or more: "
            f"got {len(images)} images, {len(captions)} captions, {columns} columns"
        )
    for index, image in enumerate(images):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"image {index} ({captions[index]}) is {image.dtype} {image.shape}: expected (H, W, 3) uint8"
            )
    columns = min(columns, len(images))
    side = max(1.15, min(1.9, 7.6 / columns))  # inches
    wrapped = [_wrapped(caption, int(side / 0.072)) for caption in captions]
    rows = math.ceil(len(images) / columns)
    row_captions = [wrapped[first : first + columns] for first in range(0, len(wrapped), columns)]
    lines = sum(1 + max(caption.count("\n") for caption in captions) for captions in row_captions)
    figure = _figure(columns * side + 0.2, rows * (side + 0.1) + 0.14 * lines + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, image, caption in zip(panels, images, wrapped, strict=False):  # the last row may be short
        axes.imshow(image, interpolation="antialiased")
        axes.set_title(caption, fontsize=_SMALL, pad=3)
    figure.suptitle(_wrapped(title, int(columns * side / 0.09)), fontsize=_TITLE)
    return figure


def save_figure(figure: Figure, path: Path | str) -> None:
    """Writes `figure` as PNG, trimmed to its content; a reader sees the old file or the whole new one.

    Missing folders are made.  Raises ValueError for a name that does not end in .png.
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"figures are saved as PNG: {path} should end in .png")
    with replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.08)


def _figure(width: float, height: float) -> Figure:
    # Inches. The canvas is set by hand so that no backend is asked for: pyplot would look for a display.
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _literal(text: str) -> str:
    # A pair of dollars would be typeset as a formula, and a malformed one raises while saving.
    return text.replace("$", r"\$")


def _wrapped(text: str, characters: int) -> str:
    return _literal(textwrap.fill(text, max(characters, 1)))


def _percentage(share: float) -> str:
    # One image of 4,000 is not "0.0 %", and 3,999 of them are not "100.0 %".
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def _area(area: float) -> str:
    return ">0.999" if 0.9995 <= area < 1 else f"{area:.3f}"
