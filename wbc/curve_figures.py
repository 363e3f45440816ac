"""Figures of what a threshold on one class's probability would give: ROC, precision and recall."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torchmetrics.functional.classification import binary_roc

from wbc.figures import GREY, SMALL, TEXT, TITLE, line_style, new_figure, plain_axes, wrapped
from wbc.metrics import checked_scores, one_vs_rest_auroc


def roc_figure(probabilities: Tensor, labels: Tensor, classes: Sequence[str], title: str) -> Figure:
    """Each class's ROC curve against all others, its AUC in the legend, the upper left corner enlarged.

    probabilities: (N, C), rows summing to 1.  labels: (N,) in [0, C).
    The enlarged corner is drawn when it has something to show and hides no curve. Classes for which no
    curve is defined are named in the legend.  Raises ValueError as `checked_scores` does.
    """
    probabilities, labels = checked_scores(probabilities, labels, classes)
    areas = one_vs_rest_auroc(probabilities, labels)
    figure = new_figure(8.0, 5.2)
    axes = figure.add_subplot()
    curves: list[tuple[np.ndarray, np.ndarray, dict[str, Any]]] = []  # false and true positive rates, style
    for index, (name, area) in enumerate(zip(classes, areas, strict=True)):
        is_class = (labels == index).long()
        images, entry = int(is_class.sum()), wrapped(name, 28)
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
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=1, label="chance  AUC 0.500")

    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("false positive rate (1 - specificity)", fontsize=TEXT + 1)
    axes.set_ylabel("true positive rate (recall)", fontsize=TEXT + 1)
    axes.set_title(wrapped(title, 56), fontsize=TITLE)
    plain_axes(axes)
    legend = figure.legend(
        loc="outside right center", fontsize=TEXT, frameon=False, handlelength=3.6, labelspacing=0.7
    )
    for text in legend.get_texts():
        if "AUC" not in text.get_text():
            text.set_color(GREY)
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
    inset.tick_params(labelsize=SMALL)
    inset.set_title("upper left corner, enlarged", fontsize=SMALL, pad=4)
    inset.grid(color="#e0e0e0", linewidth=0.6)


def _area(area: float) -> str:
    return ">0.999" if 0.9995 <= area < 1 else f"{area:.3f}"
