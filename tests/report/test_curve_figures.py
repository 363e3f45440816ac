"""ROC and precision-recall: the curves are those of scikit-learn, and every class is accounted for."""

import numpy as np
import pytest
import torch
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from tests.helpers.figure_checks import CLASSES, LONG, main_lines, overlapping, scores, texts
from wbc.report.curve_figures import precision_recall_figure, roc_figure


def test_roc_draws_each_present_class_and_names_the_others() -> None:
    probabilities, labels = scores(5, 400, 1.0, absent=(0, 3))
    figure = roc_figure(probabilities, labels, CLASSES, "TestB")
    lines = main_lines(figure.axes[0])
    assert len(lines) == 4  # three classes and chance
    for index in (1, 2, 4):
        area = roc_auc_score(labels == index, probabilities[:, index])
        label = f"{CLASSES[index]}  AUC {area:.3f} (n = {int((labels == index).sum())})"
        false_rate, true_rate = lines[label]
        assert auc(false_rate, true_rate) == pytest.approx(area, abs=1e-5)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"Basophil  no images", "Monocyte  no images"} <= set(legend)


def test_precision_recall_draws_steps_whose_area_is_the_average_precision() -> None:
    probabilities, labels = scores(5, 400, 1.0, absent=(0, 3))
    figure = precision_recall_figure(probabilities, labels, CLASSES, "TestB")
    lines = main_lines(figure.axes[0])
    assert len(lines) == 3
    for index in (1, 2, 4):
        area = average_precision_score(labels == index, probabilities[:, index])
        recall, precision = lines[f"{CLASSES[index]}  AP {area:.3f} (n = {int((labels == index).sum())})"]
        # From each point to the left, at its height, to the next.
        assert -np.diff(recall) @ precision[:-1] == pytest.approx(area, abs=1e-5)
        assert (recall[0], recall[-1], precision[-1]) == (1, 0, 1)
    drawn = [line for line in figure.axes[0].get_lines() if len(line.get_xdata())]
    assert {line.get_drawstyle() for line in drawn} == {"steps-post"}
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"Basophil  no images", "Monocyte  no images"} <= set(legend)


def test_roc_lines_differ_in_more_than_colour() -> None:
    figure = roc_figure(*scores(5, 400, 1.0), CLASSES, "")
    lines = figure.axes[0].get_lines()[:5]
    assert len({line._dash_pattern[1] and tuple(line._dash_pattern[1]) for line in lines}) == 5
    assert len({line.get_color() for line in lines}) == 5


@pytest.mark.parametrize(("lean", "enlarged"), [(1.0, False), (3.0, True), (4.0, True), (60.0, False)])
def test_roc_enlarges_the_corner_only_where_that_shows_something(lean: float, enlarged: bool) -> None:
    figure = roc_figure(*scores(5, 2000, lean), CLASSES, "")
    insets = figure.axes[0].child_axes
    assert len(insets) == enlarged
    if enlarged:
        assert len(insets[0].get_lines()) == 5
        place = insets[0].get_tightbbox().transformed(figure.axes[0].transData.inverted())
        for x, y in list(main_lines(figure.axes[0]).values())[:5]:
            assert y[np.searchsorted(x, place.x0)] > place.y1, "the enlarged corner covers a curve"


@pytest.mark.parametrize(("lean", "enlarged"), [(1.0, False), (4.0, True), (60.0, False)])
def test_precision_recall_enlarges_the_other_corner(lean: float, enlarged: bool) -> None:
    figure = precision_recall_figure(*scores(5, 2000, lean), CLASSES, "")
    insets = figure.axes[0].child_axes
    assert len(insets) == enlarged
    if enlarged:
        assert insets[0].get_xlim()[1] == insets[0].get_ylim()[1] == 1
        place = insets[0].get_tightbbox().transformed(figure.axes[0].transData.inverted())
        for x, y in main_lines(figure.axes[0]).values():
            assert (y[(x > place.x0) & (x < place.x1)] > place.y1).all(), "it covers a curve"


@pytest.mark.parametrize(("foreign", "insets"), [(0.95, 1), (0.99, 0)])
def test_a_precision_that_dips_is_not_covered(foreign: float, insets: int) -> None:
    """Three foreign cells amid a good class, or before all of it: precision 1/4 at recall 1/100."""
    labels = torch.tensor([0] * 100 + [1] * 200)
    first = torch.cat([torch.linspace(0.98, 0.92, 100), torch.linspace(0.4, 0.1, 200)])
    first[100:103] = foreign
    probabilities = torch.stack([first, 1 - first], dim=1)
    figure = precision_recall_figure(probabilities, labels, ["A", "B"], "")
    assert len(figure.axes[0].child_axes) == insets
    x, y = main_lines(figure.axes[0])[str(figure.axes[0].get_lines()[0].get_label())]
    assert np.maximum(1 - x, 1 - y).min() < 0.1, "the corner would be enlarged if nothing were covered"


@pytest.mark.parametrize("draw", [roc_figure, precision_recall_figure])
def test_probabilities_that_are_none_are_refused(draw) -> None:
    with pytest.raises(ValueError, match="softmax"):
        draw(torch.eye(2) * 3, torch.tensor([0, 1]), ["A", "B"], "")


@pytest.mark.parametrize("draw", [roc_figure, precision_recall_figure])
def test_one_class_only_says_why_there_is_no_curve(draw) -> None:
    figure = draw(torch.eye(2), torch.tensor([1, 1]), ["A", "B"], "")
    assert {"A  no images", "B  no other class to tell it from"} <= set(texts(figure))


def test_roc_does_not_call_an_imperfect_area_one() -> None:
    probabilities = torch.eye(2)[[0] * 1500 + [1] * 1500]
    probabilities[0] = torch.tensor([0.0, 1.0])
    probabilities[1500:] = torch.tensor([0.1, 0.9])
    probabilities[0] = torch.tensor([0.1, 0.9])
    shown = " ".join(texts(roc_figure(probabilities, torch.tensor([0] * 1500 + [1] * 1500), ["A", "B"], "")))
    assert "AUC >0.999" in shown
    assert "AUC 1.000" not in shown


FIGURES = {
    "roc": lambda: roc_figure(*scores(5, 4000, 4.0), CLASSES, "TestA"),
    "roc, long names": lambda: roc_figure(*scores(12, 4000, 4.0, absent=(10,)), LONG, "Twelve classes"),
    "precision, recall": lambda: precision_recall_figure(*scores(5, 4000, 4.0), CLASSES, "TestA"),
    "precision, recall, long names": lambda: precision_recall_figure(
        *scores(12, 4000, 4.0, absent=(10,)), LONG, "Twelve classes"
    ),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES.keys())
def test_no_text_covers_another(draw) -> None:
    assert overlapping(draw()) == []
