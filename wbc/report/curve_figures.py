"""Figures of what a threshold on one class's probability would give: ROC, precision and recall."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torchmetrics.functional.classification import binary_precision_recall_curve, binary_roc

from wbc.metrics.classification import checked_scores, one_vs_rest_auroc, one_vs_rest_average_precision
from wbc.pages.figure_style import GREY, SMALL, TEXT, TITLE, line_style, new_figure, plain_axes, wrapped


class _Curve(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    style: dict[str, Any]


def roc_figure(probabilities: Tensor, labels: Tensor, classes: Sequence[str], title: str) -> Figure:
    """Each class's ROC curve against all others, its AUC in the legend, the upper left corner enlarged.

    probabilities: (N, C), rows summing to 1.  labels: (N,) in [0, C).
    The enlarged corner is drawn when it has something to show and hides no curve. Classes for which no
    curve is defined are named in the legend.  Raises ValueError as `checked_scores` does.
    """
    probabilities, labels = checked_scores(probabilities, labels, classes)

    def points(scores: Tensor, is_class: Tensor) -> tuple[Tensor, Tensor]:
        false_rate, true_rate, _ = binary_roc(scores, is_class)
        return false_rate, true_rate

    figure, axes = _new_axes(
        "false positive rate (1 - specificity)", "true positive rate (recall)", title, len(classes)
    )
    areas = one_vs_rest_auroc(probabilities, labels)
    curves = _plot_classes(axes, points, probabilities, labels, classes, areas, "AUC", {})
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=1, label="chance  AUC 0.500")
    _add_legend(figure, "AUC")
    _enlarge_corner(axes, curves, right=False)
    return figure


def precision_recall_figure(
    probabilities: Tensor, labels: Tensor, classes: Sequence[str], title: str
) -> Figure:
    """Each class's precision against its recall, its average precision in the legend, the corner enlarged.

    The area under a curve, whose steps hold each precision back to the recall before it, is the average
    precision; chance gives a class's share of the images.  Arguments, what is left out and errors as in
    `roc_figure`.
    """
    probabilities, labels = checked_scores(probabilities, labels, classes)

    def points(scores: Tensor, is_class: Tensor) -> tuple[Tensor, Tensor]:
        precision, recall, _ = binary_precision_recall_curve(scores, is_class)
        return recall, precision

    figure, axes = _new_axes(
        "recall (share of the class found)", "precision (share of its predictions right)", title, len(classes)
    )
    areas = one_vs_rest_average_precision(probabilities, labels)
    steps = {"drawstyle": "steps-post"}  # recall falls along the curve
    curves = _plot_classes(axes, points, probabilities, labels, classes, areas, "AP", steps)
    _add_legend(figure, "AP")
    _enlarge_corner(axes, curves, right=True)
    return figure


def _new_axes(x: str, y: str, title: str, classes: int) -> tuple[Figure, Axes]:
    figure = new_figure(8.0, max(5.2, 0.9 + 0.22 * classes))  # a line of the legend a class
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel(x, fontsize=TEXT + 1)
    axes.set_ylabel(y, fontsize=TEXT + 1)
    axes.set_title(wrapped(title, 56), fontsize=TITLE)
    plain_axes(axes)
    return figure, axes


def _plot_classes(
    axes: Axes,
    points: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    probabilities: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    areas: Sequence[float | None],
    area_name: str,
    drawn: dict[str, Any],
) -> list[_Curve]:
    """One line a class; of a class without area only the reason, in the legend.

    points: scores (N,) and membership (N,) of a class to the x and y of its curve.  drawn: of every line.
    """
    curves = []
    for index, (name, area) in enumerate(zip(classes, areas, strict=True)):
        is_class = (labels == index).long()
        images, entry = int(is_class.sum()), wrapped(name, 28)
        if area is None:
            why = "no images" if images == 0 else "no other class to tell it from"
            axes.plot([], [], color="none", label=f"{entry}  {why}")
            continue
        x, y = points(probabilities[:, index], is_class)
        # Thinner and thinner, so that a curve still shows beneath one that covers it.
        style = {**line_style(index), **drawn, "linewidth": 3.0 - 1.8 * index / len(classes)}
        curves.append(_Curve(x.numpy(), y.numpy(), style))
        label = f"{entry}  {area_name} {_area(area)} (n = {images:,})"
        axes.plot(x.numpy(), y.numpy(), **style, label=label, clip_on=False)
    return curves


def _add_legend(figure: Figure, area_name: str) -> None:
    legend = figure.legend(
        loc="outside right center", fontsize=TEXT, frameon=False, handlelength=3.6, labelspacing=0.7
    )
    for text in legend.get_texts():
        if f"  {area_name} " not in text.get_text():
            text.set_color(GREY)


def _enlarge_corner(axes: Axes, curves: Sequence[_Curve], right: bool) -> None:
    # How far each curve stays from the corner, in the rate where it is farther. Within 0.1 it lies above 0.9
    # from there on and leaves the lower right free, or mostly the lower left; beyond, the whole plot shows
    # it as well; at 0 nothing is left to enlarge.
    knee = max(
        (np.maximum(1 - curve.x if right else curve.x, 1 - curve.y).min() for curve in curves), default=0
    )
    if not 0 < knee <= 0.1:
        return
    side = next(side for side in (0.02, 0.05, 0.1, 0.2) if 2 * knee <= side)
    left, bottom, width, height = (0.02 if right else 0.37), 0.08, 0.62, 0.63
    if any(_lowest(curve, left, left + width) <= bottom + height for curve in curves):
        return
    axes.add_patch(Rectangle((left, bottom), width, height, facecolor="white", zorder=1.5))  # over the grid
    inset = axes.inset_axes((left + 0.12, 0.16, 0.47, 0.47))
    for curve in curves:
        inset.plot(curve.x, curve.y, **curve.style)
    ticks = np.linspace(0, side, 3)
    inset.set(xlim=(1 - side, 1) if right else (0, side), ylim=(1 - side, 1), aspect="equal")
    for axis, far in ((inset.xaxis, right), (inset.yaxis, True)):
        places = 1 - ticks if far else ticks
        axis.set_ticks(places, [f"{place:g}" for place in places])
    inset.tick_params(labelsize=SMALL)
    corner = "right" if right else "left"
    inset.set_title(f"upper {corner} corner, enlarged", fontsize=SMALL, pad=4)
    inset.grid(color="#e0e0e0", linewidth=0.6)


def _lowest(curve: _Curve, left: float, right: float) -> float:
    ends = np.sort([curve.x[:-1], curve.x[1:]], axis=0)  # of each piece of the curve
    inside = (ends[1] >= left) & (ends[0] <= right)
    return float(np.minimum(curve.y[:-1], curve.y[1:])[inside].min(initial=1.0))


def _area(area: float) -> str:
    return ">0.999" if 0.9995 <= area < 1 else f"{area:.3f}"
