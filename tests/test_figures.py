"""What stands in the figures, that no text covers another, and that files appear whole."""

from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image
from sklearn.metrics import auc, roc_auc_score

from wbc.figures import (
    confusion_matrix_figure,
    image_page_figure,
    roc_figure,
    save_figure,
    training_curves_figure,
)

CLASSES = ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")
LONG = (
    *CLASSES,
    "Erythroblast (nucleated red cell)",
    "Immature granulocyte (promyelocyte)",
    "Neutrophil, band form",
    "Large granular lymphocyte",
    "Plasma cell",
    "Platelet",
    "Blast",
)


def scores(classes: int, images: int, lean: float, absent: tuple[int, ...] = ()):
    rng = np.random.default_rng(0)
    labels = rng.choice([index for index in range(classes) if index not in absent], images)
    logits = rng.normal(size=(images, classes))
    logits[np.arange(images), labels] += lean
    return torch.from_numpy(logits).softmax(dim=1), torch.from_numpy(labels)


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


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts drawn over each other, slanted ones left out (their boxes are larger than they)."""
    figure.canvas.draw()  # settles the layout
    drawn: list[tuple[str, Bbox]] = []
    draw = Text.draw

    def record(text: Text, renderer: RendererBase) -> None:
        if text.get_visible() and text.get_text().strip() and text.get_rotation() % 90 == 0:
            drawn.append((text.get_text(), text.get_window_extent(renderer).padded(-1)))
        draw(text, renderer)

    with mock.patch.object(Text, "draw", record):
        figure.canvas.draw()
    return [
        (text, other)
        for index, (text, box) in enumerate(drawn)
        for other, other_box in drawn[:index]
        if box.overlaps(other_box)
    ]


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


def main_lines(axes: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {str(line.get_label()): line.get_data() for line in axes.get_lines() if len(line.get_xdata())}


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


def test_roc_of_one_class_only_says_why_there_is_no_curve() -> None:
    figure = roc_figure(torch.eye(2), torch.tensor([1, 1]), ["A", "B"], "")
    assert {"A  no images", "B  no other class to tell it from"} <= set(texts(figure))


def test_roc_does_not_call_an_imperfect_area_one() -> None:
    probabilities = torch.eye(2)[[0] * 1500 + [1] * 1500]
    probabilities[0] = torch.tensor([0.0, 1.0])
    probabilities[1500:] = torch.tensor([0.1, 0.9])
    probabilities[0] = torch.tensor([0.1, 0.9])
    shown = " ".join(texts(roc_figure(probabilities, torch.tensor([0] * 1500 + [1] * 1500), ["A", "B"], "")))
    assert "AUC >0.999" in shown
    assert "AUC 1.000" not in shown


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


def test_page_shows_every_image_with_its_caption() -> None:
    images = [np.full((8 + index, 12, 3), 10 * index, np.uint8) for index in range(7)]
    captions = [f"Neutrophil {index}" for index in range(7)]
    figure = image_page_figure(images, captions, "Augmented", columns=3)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(figure.axes) == 9
    assert all(np.array_equal(drawn, image) for drawn, image in zip(shown, images, strict=True))
    assert [axes.get_title() for axes in figure.axes[:7]] == captions
    assert "Augmented" in texts(figure)


IMAGE = np.zeros((4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("images", "captions", "columns", "message"),
    [
        ([], [], 3, "0 images"),
        ([IMAGE], ["a", "b"], 3, "2 captions"),
        ([IMAGE], ["a"], 0, "0 columns"),
        ([IMAGE, IMAGE.astype(float)], ["a", "b"], 3, r"image 1 \(b\) is float64"),
        ([IMAGE[..., 0]], ["grey"], 3, r"image 0 \(grey\) is uint8 \(4, 4\)"),
    ],
)
def test_page_refuses_what_is_no_image(images: list, captions: list, columns: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_page_figure(images, captions, "", columns)


FIGURES = {
    "confusion": lambda: confusion_matrix_figure(
        (np.eye(5, dtype=int) * 2600 + 3).tolist(), CLASSES, "TestA"
    ),
    "confusion, long names": lambda: confusion_matrix_figure(
        (np.eye(12, dtype=int) * 2600 + 3).tolist(), LONG, "Twelve classes"
    ),
    "roc": lambda: roc_figure(*scores(5, 4000, 4.0), CLASSES, "TestA"),
    "roc, long names": lambda: roc_figure(*scores(12, 4000, 4.0, absent=(10,)), LONG, "Twelve classes"),
    "curves": lambda: training_curves_figure(history({"head": 15, "finetune": 30})),
    "curves, one epoch beside thirty": lambda: training_curves_figure(history({"head": 1, "finetune": 30})),
    "page": lambda: image_page_figure([IMAGE] * 12, LONG, "Augmented training samples", 6),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES.keys())
def test_no_text_covers_another(draw) -> None:
    assert overlapping(draw()) == []


def test_overlaps_are_seen() -> None:
    figure = FIGURES["confusion"]()
    figure.text(0.5, 0.5, "across the middle of the matrix")
    assert overlapping(figure)


def test_dollars_in_names_are_no_formulas(tmp_path: Path) -> None:
    figure = image_page_figure([IMAGE], [r"a$\frac$.jpg"], "$^$", 1)
    save_figure(figure, tmp_path / "page.png")
    save_figure(
        confusion_matrix_figure([[1, 0], [0, 1]], ["$^$", "B"], r"$\bad$"), tmp_path / "confusion.png"
    )


def test_saving_replaces_whole_files_and_leaves_nothing_beside(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "figures" / "page.png"
    figure = image_page_figure([IMAGE], ["a"], "", 1)
    save_figure(figure, path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.info["dpi"] == pytest.approx((180, 180), abs=0.1)
    before = path.read_bytes()

    def half(target, **_: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", half)
    with pytest.raises(OSError, match="disk full"):
        save_figure(figure, path)
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]


def test_only_png_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"page\.pdf should end in \.png"):
        save_figure(image_page_figure([IMAGE], ["a"], "", 1), tmp_path / "page.pdf")
