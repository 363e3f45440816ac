"""Training curves: both phases, their boundary and their best epochs."""

import pandas as pd
import pytest

from tests.helpers.figure_checks import overlapping, texts
from wbc.training.training_figure import training_curves_figure


def history(epochs: dict[str, int]) -> pd.DataFrame:
    rows = []
    for phase, count in epochs.items():
        for epoch in range(count):
            value = 0.5 + 0.4 * epoch / 30
            rows.append(
                {
                    "phase": phase,
                    "epoch": epoch,
                    "train_loss": 1 - value,
                    "val_loss": 1.1 - value,
                    "train_accuracy": value + 0.05,
                    "val_accuracy": value,
                    "val_macro_f1": value - 0.05,
                    "lr": 1e-4 if phase == "head" else 1e-5,
                    "is_best": epoch == count - 2,
                }
            )
    return pd.DataFrame(rows)


def test_curves_run_through_both_phases_with_boundary_and_best_epochs() -> None:
    figure = training_curves_figure(history({"head": 4, "finetune": 6}))
    loss, rates, lr = figure.axes
    assert {"phase: head", "phase: finetune"} <= set(texts(figure))
    assert [[*line.get_xdata()] for line in loss.get_lines() if line.get_label() == "training loss"] == [
        [1, 2, 3, 4]
    ]
    xs = [[*line.get_xdata()] for line in loss.get_lines()]
    assert [5, 6, 7, 8, 9, 10] in xs
    for axes in (loss, rates, lr):
        boundaries = [line for line in axes.get_lines() if [*line.get_xdata()] == [4.5, 4.5]]
        assert len(boundaries) == 1
    stars = [line for line in rates.get_lines() if line.get_marker() == "*"]
    assert sorted(float(line.get_xdata()[0]) for line in stars) == [3, 3, 9, 9]  # accuracy and macro-F1
    assert lr.get_yscale() == "log"
    legend = [text.get_text() for text in rates.get_legend().get_texts()]
    assert legend == [
        "training accuracy",
        "validation accuracy",
        "validation macro-F1",
        "best epoch of the phase",
    ]


def test_curves_of_one_phase_have_no_boundary_and_training_accuracy_is_optional() -> None:
    figure = training_curves_figure(history({"finetune": 3}).drop(columns="train_accuracy"))
    assert not [
        line
        for axes in figure.axes
        for line in axes.get_lines()
        if len(set(line.get_xdata())) == 1 and line.get_marker() != "*"
    ]
    assert "training accuracy" not in texts(figure)


def test_curves_name_what_the_history_lacks() -> None:
    with pytest.raises(ValueError, match=r"lacks the columns \['lr'\]"):
        training_curves_figure(history({"head": 2}).drop(columns="lr"))
    with pytest.raises(ValueError, match="0 epochs"):
        training_curves_figure(history({"head": 1}).iloc[:0])


@pytest.mark.parametrize("epochs", [{"head": 15, "finetune": 30}, {"head": 1, "finetune": 30}])
def test_no_text_covers_another(epochs) -> None:
    assert overlapping(training_curves_figure(history(epochs))) == []
