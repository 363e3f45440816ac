"""The reliability diagram: bins as in scikit-learn, intervals as in scipy, every image counted."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from tests.helpers.figure_checks import CLASSES, LONG, overlapping, scores, texts
from wbc.metrics.calibration import expected_calibration_error
from wbc.report.calibration_figure import reliability_figure


def test_points_are_those_of_scikit_learn_with_exact_intervals() -> None:
    probabilities, labels = scores(5, 400, 1.5)
    figure = reliability_figure(probabilities, labels, CLASSES, "TestA")
    shares, counts = figure.axes
    confidences, predicted = probabilities.max(dim=1)
    right = (predicted == labels).numpy()
    accuracies, means = calibration_curve(right, confidences.numpy(), n_bins=15)
    points = shares.containers[0]
    x, y = points.lines[0].get_xydata().T
    np.testing.assert_allclose(x, means)
    np.testing.assert_allclose(y, accuracies)

    number = np.ceil(confidences.numpy() * 15).astype(int) - 1
    bars = {round(15 * bar.get_x()): bar.get_height() for bar in counts.patches}
    assert bars == {index: (number == index).sum() for index in np.unique(number)}
    assert sum(bars.values()) == 400
    for index, segment in zip(np.unique(number), points.lines[2][0].get_segments(), strict=True):
        inside = right[number == index]
        limits = binomtest(int(inside.sum()), len(inside)).proportion_ci(0.95, method="exact")
        np.testing.assert_allclose(segment[:, 1], [limits.low, limits.high], atol=1e-9)
    error = expected_calibration_error(probabilities, labels)
    assert {f"ECE {100 * error:.1f} %", "TestA"} <= set(texts(figure))


def test_before_and_after_temperature_scaling_stand_side_by_side() -> None:
    probabilities, labels = scores(5, 400, 2.0)
    unscaled = (3 * probabilities.log()).softmax(dim=1)
    figure = reliability_figure(probabilities, labels, CLASSES, "TestA", unscaled)
    titles = [axes.get_title() for axes in figure.axes]
    before, after = (100 * expected_calibration_error(scores, labels) for scores in (unscaled, probabilities))
    assert abs(before - after) > 1
    assert titles[:2] == [f"before temperature scaling: ECE {before:.1f} %", f"after: ECE {after:.1f} %"]
    for axes, shown in zip(figure.axes[:2], (unscaled, probabilities), strict=True):
        alone = reliability_figure(shown, labels, CLASSES, "").axes[0]
        np.testing.assert_array_equal(
            axes.containers[0].lines[0].get_xydata(), alone.containers[0].lines[0].get_xydata()
        )


def test_a_single_image_and_certain_answers_are_drawn() -> None:
    figure = reliability_figure(torch.eye(2), torch.tensor([0, 1]), ["A", "B"], "")
    assert figure.axes[1].patches[0].get_height() == 2
    assert "ECE 0.0 %" in texts(figure)
    one = reliability_figure(torch.tensor([[0.3, 0.7]]), torch.tensor([0]), ["A", "B"], "")
    one.canvas.draw()
    assert one.axes[1].get_ylim()[0] < 1 < one.axes[1].get_ylim()[1]


@pytest.mark.parametrize("which", ["probabilities", "unscaled"])
def test_probabilities_that_are_none_are_refused(which: str) -> None:
    given = {"probabilities": torch.eye(2), "unscaled": torch.eye(2)} | {which: torch.eye(2) * 3}
    with pytest.raises(ValueError, match="softmax"):
        reliability_figure(**given, labels=torch.tensor([0, 1]), classes=["A", "B"], title="")


FIGURES = {
    "one": lambda: reliability_figure(*scores(5, 4000, 4.0), CLASSES, "TestA, after finetune"),
    "other lab": lambda: reliability_figure(*scores(12, 300, 0.5), LONG, "Jiangxi Tecom: " + "stain " * 12),
    "both": lambda: reliability_figure(*scores(5, 400, 2.0), CLASSES, "TestA", scores(5, 400, 3.0)[0]),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES.keys())
def test_no_text_covers_another(draw) -> None:
    assert overlapping(draw()) == []
