"""The risk-coverage figure: how many answers are wrong, against how many images are answered."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from wbc.pages.figure_style import GREY, TEXT, TITLE, line_style, new_figure, percentage, plain_axes, wrapped

_MARKERS = "osD^vP*"


class Outcomes(NamedTuple):
    """A data set's confidences (N,), which of its images are right (N,) bool, and which are answered.

    answered: (N,) bool by the model's own rule, which may refuse confident images as no known cells; None
    where the model has no rule.
    """

    confidences: np.ndarray
    right: np.ndarray
    answered: np.ndarray | None


def risk_coverage(confidences: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share answered, rising to 1, and share of these that is wrong, as the threshold on confidence falls.

    confidences (N,), right (N,) bool, N at least 1.  Images of one confidence are answered together, so that
    there is a point for each different confidence (El-Yaniv & Wiener 2010).
    """
    order = np.argsort(-confidences, kind="stable")
    ordered = confidences[order]
    last = np.append(ordered[1:] != ordered[:-1], True)  # of those of equal confidence
    answered = np.flatnonzero(last) + 1
    return answered / len(order), np.cumsum(~right[order])[last] / answered


def risk_coverage_figure(sets: Mapping[str, Outcomes], max_error: float | None, title: str) -> Figure:
    """One line a data set, a mark where the model's own rule lies, and the promised error.

    The mark lies off its line where the rule refuses images as no known cells.  Errors are drawn evenly up
    to `max_error` (1 % without), logarithmically above: 0.1 % in one lab and 60 % in another both show.

    sets: name to outcomes.  max_error: what the rule promises, in (0, 1); None for no rule.
    Raises ValueError for no sets, no images and outcomes that are not as many as the confidences.
    """
    if not sets:
        raise ValueError("no data set to draw: expected outcomes of one or more")
    figure = new_figure(8.0, 4.8)
    axes = figure.add_subplot()
    linear = max_error or 0.01
    axes.set_yscale("symlog", linthresh=linear, linscale=0.8)
    for index, (name, outcomes) in enumerate(sets.items()):
        _check(name, outcomes)
        confidences, right, answered = outcomes
        style = line_style(index)
        label = f"{wrapped(name, 28)} (n = {len(right):,})"
        axes.plot(*risk_coverage(confidences, right), **style, linewidth=1.8, label=label, clip_on=False)
        if answered is None:
            continue
        # No point where nothing is answered: no share of nothing is wrong.
        shares = [float(answered.mean())] if answered.any() else []
        errors = [float((~right[answered]).mean())] if answered.any() else []
        axes.plot(
            shares,
            errors,
            color=style["color"],
            linestyle="none",
            marker=_MARKERS[index % len(_MARKERS)],
            markersize=9,
            markeredgecolor="black",
            zorder=5,
            clip_on=False,
            label=f"rule answers {percentage(*shares)},\n{percentage(*errors)} of them wrong"
            if shares
            else "rule answers none",
        )
    if max_error is not None:
        axes.axhline(
            max_error, color=GREY, linewidth=1, zorder=1, label=f"promised: {100 * max_error:g} % at most"
        )
    ticks = [0, linear / 2, *(tick for tick in (0.01, 0.03, 0.1, 0.3, 1.0) if tick > 1.5 * linear), linear]
    axes.yaxis.set_major_locator(FixedLocator(sorted(ticks)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_xlabel("images answered, the surest first", fontsize=TEXT + 1)
    axes.set_ylabel("answers that are wrong", fontsize=TEXT + 1)
    axes.set_title(wrapped(title, 56), fontsize=TITLE)
    plain_axes(axes)
    figure.legend(
        loc="outside right center", fontsize=TEXT, frameon=False, labelspacing=0.7, handlelength=3.6
    )
    return figure


def _check(name: str, outcomes: Outcomes) -> None:
    confidences, right, answered = outcomes
    count = len(confidences)
    if count == 0 or len(right) != count or (answered is not None and len(answered) != count):
        raise ValueError(
            f"{name}: {count} confidences, {len(right)} outcomes and "
            f"{'no' if answered is None else len(answered)} answers: expected as many of each, and some"
        )
