"""Risk and coverage: shares counted one threshold at a time, marks where the rule lies."""

import numpy as np
import pytest

from tests.helpers.figure_checks import main_lines, overlapping, texts
from wbc.report.abstention_figure import Outcomes, risk_coverage, risk_coverage_figure


def outcomes(images: int, error: float, seed: int = 0, decimals: int = 9) -> Outcomes:
    """Confident images are wrong less often; every third confident one is refused."""
    rng = np.random.default_rng(seed)
    confidences = rng.random(images).round(decimals)
    right = rng.random(images) > 2 * error * (1 - confidences)
    return Outcomes(confidences, right, (confidences > 0.6) & (np.arange(images) % 3 > 0))


def test_risk_and_coverage_by_hand() -> None:
    confidences = np.array([0.5, 0.9, 0.7, 0.7, 0.8])
    right = np.array([False, True, True, False, True])
    coverage, risk = risk_coverage(confidences, right)
    assert coverage == pytest.approx([0.2, 0.4, 0.8, 1.0])  # both at 0.7 together
    assert risk == pytest.approx([0, 0, 1 / 4, 2 / 5])


@pytest.mark.parametrize("decimals", [9, 1])
def test_a_point_for_each_threshold(decimals: int) -> None:
    confidences, right, _ = outcomes(200, 0.3, decimals=decimals)
    thresholds = np.unique(confidences)[::-1]
    coverage, risk = risk_coverage(confidences, right)
    assert coverage == pytest.approx([(confidences >= threshold).mean() for threshold in thresholds])
    assert risk == pytest.approx([(~right)[confidences >= threshold].mean() for threshold in thresholds])


def test_each_set_has_its_line_and_its_mark() -> None:
    sets = {"pbc": outcomes(1030, 0.02), "jtsc": outcomes(300, 0.6, seed=1)}
    figure = risk_coverage_figure(sets, 0.01, "Errors")
    axes = figure.axes[0]
    lines = main_lines(axes)
    for name, (confidences, right, answered) in sets.items():
        x, y = lines[f"{name} (n = {len(right):,})"]
        np.testing.assert_allclose((x, y), risk_coverage(confidences, right))
        share, wrong = answered.mean(), (~right)[answered].mean()
        label = f"rule answers {100 * share:.1f} %,\n{100 * wrong:.1f} % of them wrong"
        assert np.ravel(lines[label]) == pytest.approx([share, wrong])
    assert set(lines["promised: 1 % at most"][1]) == {0.01}
    marks = [line.get_marker() for line in axes.get_lines() if line.get_marker() != "None"]
    assert len(set(marks)) == 2
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "0 %", "0.5 %", "1 %", "3 %", "10 %", "30 %", "100 %",
    ]  # fmt: skip


def test_a_rule_that_answers_none_and_no_rule_have_no_mark() -> None:
    confidences, right, _ = outcomes(100, 0.2)
    silent = Outcomes(confidences, right, np.zeros(100, bool))
    figure = risk_coverage_figure({"silent": silent, "free": Outcomes(confidences, right, None)}, None, "")
    assert set(main_lines(figure.axes[0])) == {"silent (n = 100)", "free (n = 100)"}
    assert "rule answers none" in texts(figure)
    assert not any("promised" in text for text in texts(figure))


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({}, "no data set"),
        ({"jtsc": Outcomes(np.empty(0), np.empty(0, bool), None)}, "jtsc: 0 confidences"),
        ({"jtsc": Outcomes(np.ones(2), np.ones(3, bool), None)}, "2 confidences, 3 outcomes and no answers"),
        ({"jtsc": Outcomes(np.ones(2), np.ones(2, bool), np.ones(1, bool))}, "2 outcomes and 1 answers"),
    ],
)
def test_outcomes_that_do_not_fit_are_refused(sets: dict[str, Outcomes], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        risk_coverage_figure(sets, 0.01, "")


@pytest.mark.parametrize("max_error", [0.001, 0.01, 0.05, 0.2, None])
def test_no_text_covers_another(max_error: float | None) -> None:
    sets = {
        name: outcomes(300, 0.1 * (index + 1), index)
        for index, name in enumerate(
            ["pbc", "jtsc", "Jiangxi Tecom, rapid stain, another camera", "$x$ and $"]
        )
    }
    figure = risk_coverage_figure(sets, max_error, "Errors among the answered, " * 3)
    assert overlapping(figure) == []
