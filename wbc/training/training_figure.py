"""The figure of how training went, epoch by epoch."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from wbc.pages.figure_style import COLOURS, DASHES, SMALL, TEXT, literal, new_figure, plain_axes

# Panel, column of the history, name in the legend, and how it is drawn.
_CURVES: tuple[tuple[int, str, str, dict[str, Any]], ...] = (
    (0, "train_loss", "training loss", {"color": COLOURS[1], "linestyle": DASHES[1], "marker": "o"}),
    (0, "val_loss", "validation loss", {"color": COLOURS[0], "marker": "s"}),
    (
        1,
        "train_accuracy",
        "training accuracy",
        {"color": COLOURS[1], "linestyle": DASHES[1], "marker": "o"},
    ),
    (1, "val_accuracy", "validation accuracy", {"color": COLOURS[0], "marker": "s"}),
    (
        1,
        "val_macro_f1",
        "validation macro-F1",
        {"color": COLOURS[2], "linestyle": DASHES[3], "marker": "D"},
    ),
    (2, "lr", "learning rate", {"color": COLOURS[4], "drawstyle": "steps-mid", "marker": "o"}),
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
    figure = new_figure(7.2, 7.4)
    panels = figure.subplots(3, sharex=True, gridspec_kw={"height_ratios": [3, 3, 1.5]})
    phases = list(dict.fromkeys(history["phase"]))
    start = 0.5  # left edge of the phase; epoch 1 is drawn at 1
    for number, phase in enumerate(phases):
        rows = history[history["phase"] == phase]
        _plot_phase(panels, rows, start, labelled=number == 0)
        end = start + int(rows["epoch"].max()) + 1
        panels[0].annotate(
            f"phase: {literal(str(phase))}",
            ((start + end) / 2, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=TEXT + 1,
        )
        start = end

    for axes, name in zip(panels, ("loss", "accuracy, macro-F1", "learning rate"), strict=True):
        axes.set_ylabel(name, fontsize=TEXT + 1)
        plain_axes(axes)
    for axes in panels[:2]:
        handles, _ = axes.get_legend_handles_labels()
        handles.append(Line2D([], [], label="best epoch of the phase", markerfacecolor="white", **_STAR))
        axes.legend(handles=handles, fontsize=SMALL, framealpha=0.9)
    if (history["lr"] > 0).any():  # a log axis of zeros warns and stays empty
        panels[2].set_yscale("log")
    panels[2].set_xlabel("epoch", fontsize=TEXT + 1)
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
