"""What a run leaves for people: metrics, predictions, tables and figures in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from wbc.cells import Cells
from wbc.figures import save_figure
from wbc.files import replacing, write_text
from wbc.image_page import image_page_figure
from wbc.metrics import classification_metrics
from wbc.tables import ANSWERS, comparison_table
from wbc.training_figure import training_curves_figure
from wbc.views import View

_PAGE_IMAGES = 24


def set_metrics(rows: pd.DataFrame, logits: Tensor, classes: list[str]) -> dict[str, Any]:
    """Metrics of one evaluated set.  rows: its manifest rows; logits (N, C) in their order."""
    labels = torch.tensor([classes.index(label) for label in rows["label"]])
    return classification_metrics(logits.softmax(dim=1), labels, classes)


def predictions_table(rows: pd.DataFrame, logits: Tensor, classes: list[str]) -> pd.DataFrame:
    """One row an image: path, split, label, prediction, and one probability per class named after it."""
    probabilities = logits.softmax(dim=1)
    table = rows[["path", "split", "label"]].reset_index(drop=True)
    table["prediction"] = [classes[index] for index in probabilities.argmax(dim=1).tolist()]
    return pd.concat([table, pd.DataFrame(probabilities.numpy(), columns=classes)], axis=1)


def write_predictions(
    path: Path, rows: dict[str, pd.DataFrame], logits: dict[str, Tensor], classes: list[str]
) -> None:
    """All evaluated sets in one CSV file."""
    table = pd.concat([predictions_table(rows[name], logits[name], classes) for name in logits])
    with replacing(path) as beside:
        table.to_csv(beside, index=False, float_format="%.6g")


def read_predictions(path: Path) -> pd.DataFrame:
    """What `write_predictions` wrote; a class may be called 1, or NA."""
    text = {"label": str, "prediction": str}
    return pd.read_csv(path, dtype=text, keep_default_na=False)


def final_sets(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics of each set by the model as it answers; where the last phase is no other, of that."""
    last = metrics.get(ANSWERS) or list(metrics["phases"].values())[-1]
    return last["sets"]


def held_out_sets(phase_record: dict[str, Any]) -> dict[str, Any]:
    """The sets of a phase's record that neither trained nor chose the model."""
    return {name: metrics for name, metrics in phase_record["sets"].items() if name.startswith("test")}


def results_table(metrics: Mapping[str, Any]) -> str:
    """The "without / with fine-tuning" table of every test set, in Markdown.  metrics: as in metrics.json."""
    held_out = {phase: held_out_sets(record) for phase, record in metrics["phases"].items()}
    if ANSWERS in metrics:
        held_out[ANSWERS] = held_out_sets(metrics[ANSWERS])
    if not any(held_out.values()):
        return "There is no test set; metrics.json has the figures of the validation images."
    return comparison_table(held_out)


def write_training_curves(folder: Path, history: pd.DataFrame) -> None:
    """Loss, accuracy, macro-F1 and learning rate over all phases."""
    save_figure(training_curves_figure(history), folder / "training_curves.png")


def write_results_page(folder: Path, title: str, table: str) -> None:
    """results.md: the tables as text; report.html has the figures."""
    write_text(folder / "results.md", f"# {title}\n\n{table}\n")


def write_augmented_page(folder: Path, cells: Cells) -> None:
    """Training images as the network sees them in the first epoch, equally many of each class."""
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(cells.labels):
        by_class.setdefault(label, []).append(index)
    each = max(4, _PAGE_IMAGES // len(by_class))
    shown = [index for label in sorted(by_class) for index in by_class[label][:each]]
    images = [cells[View(index, epoch=0)].images.permute(1, 2, 0).numpy() for index in shown]
    captions = [cells.classes[cells.labels[index]] for index in shown]
    figure = image_page_figure(images, captions, "Training images after augmentation", columns=each)
    save_figure(figure, folder / "augmented_samples.png")
