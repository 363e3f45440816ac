"""The confusion matrix: counts, percentages, and no text over another."""

import numpy as np
import pytest
from matplotlib.text import Text

from tests.helpers.figure_checks import CLASSES, LONG, overlapping, texts
from wbc.report.confusion_figure import confusion_matrix_figure


def test_confusion_shows_counts_and_row_percentages() -> None:
    figure = confusion_matrix_figure([[3, 1], [0, 2000]], ["Basophil", "Neutrophil"], "TestA, finetune")
    shown = texts(figure)
    assert {"3", "75.0 %", "1", "25.0 %", "0", "0.0 %", "2,000", "100.0 %"} <= set(shown)
    assert {
        "TestA, finetune",
        "predicted class",
        "true class",
        "Basophil\nn = 4",
        "Neutrophil\nn = 2,000",
    } <= set(shown)
    assert "no images" not in shown


def test_confusion_rounds_neither_errors_nor_hits_away() -> None:
    shown = texts(confusion_matrix_figure([[3999, 1], [1, 3999]], ["A", "B"], ""))
    assert ">99.9 %" in shown
    assert "<0.1 %" in shown
    assert "0.0 %" not in shown


def test_confusion_greys_classes_without_images() -> None:
    confusion = np.diag([5, 0, 5, 0, 5])
    figure = confusion_matrix_figure(confusion.tolist(), CLASSES, "TestB")
    shown = texts(figure)
    assert shown.count("no images") == 2
    assert "Monocyte\nn = 0" in shown
    assert shown.count("100.0 %") == 3


def test_confusion_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"5 by 5, got shape \(2, 2\)"):
        confusion_matrix_figure([[1, 0], [0, 1]], CLASSES, "")


@pytest.mark.parametrize("names", [CLASSES, LONG])
def test_the_size_depends_on_the_classes_alone(names) -> None:
    few = np.eye(len(names), dtype=int)
    many = 2600 * few
    many[0] = 0
    figures = [
        confusion_matrix_figure(few.tolist(), names, "test: 5 images"),
        confusion_matrix_figure(many.tolist(), names, "a lab of a very long name " * 20 + ": 99 images"),
    ]
    for figure in figures:
        figure.canvas.draw()
    sizes, places = (
        [tuple(figure.get_size_inches()) for figure in figures],
        [figure.axes[0].get_position().bounds for figure in figures],
    )
    assert sizes[0] == sizes[1]
    assert places[0] == places[1]


@pytest.mark.parametrize("names", [("A", "B"), CLASSES, LONG])
@pytest.mark.parametrize("title", ["", "a lab of a very long name " * 20 + ": 99 images"])
def test_no_text_runs_out_of_the_figure(names, title) -> None:
    counts = 2_000_000 * np.eye(len(names), dtype=int)
    figure = confusion_matrix_figure(counts.tolist(), names, title)
    figure.canvas.draw()
    frame = figure.bbox.padded(1)
    outside = []
    for text in figure.findobj(Text):
        box = text.get_window_extent()
        inside = frame.contains(*box.min) and frame.contains(*box.max)
        if text.get_visible() and text.get_text() and not inside:
            outside.append(text.get_text())
    assert outside == []
    if title:
        assert any(text.endswith("99 images") for text in texts(figure)), "the figures stand at the end"


@pytest.mark.parametrize("names", [CLASSES, LONG])
def test_no_text_covers_another(names) -> None:
    counts = np.eye(len(names), dtype=int) * 2600 + 3
    assert overlapping(confusion_matrix_figure(counts.tolist(), names, "TestA")) == []


def test_overlaps_are_seen() -> None:
    figure = confusion_matrix_figure((np.eye(5, dtype=int) * 2600 + 3).tolist(), CLASSES, "TestA")
    figure.text(0.5, 0.5, "across the middle of the matrix")
    assert overlapping(figure)
