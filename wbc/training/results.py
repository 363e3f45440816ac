"""What a run leaves for people: metrics, predictions, tables and figures in the run folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from wbc.answers.prediction_rows import predictions_table
from wbc.loading.epoch_sampler import View
from wbc.loading.labelled_images import Cells
from wbc.metrics.classification import classification_metrics
from wbc.pages.figure_style import save_figure
from wbc.pages.image_page import image_page_figure
from wbc.settings.run_folder import ANSWERS, PHASE_TITLES
from wbc.training.training_figure import training_curves_figure
from wbc.utils.files import replacing, write_text
from wbc.utils.text_tables import markdown_table, percent, ratio

_PAGE_IMAGES = 24


def set_metrics(rows: pd.DataFrame, logits: Tensor, classes: list[str]) -> dict[str, Any]:
    """Metrics of one evaluated set.  rows: its manifest rows; logits (N, C) in their order."""
    labels = torch.tensor([classes.index(label) for label in rows["label"]])
    return classification_metrics(logits.softmax(dim=1), labels, classes)


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


_TITLES = PHASE_TITLES | {ANSWERS: "as it answers"}


def comparison_table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The results of a run as the paper shows them: per test set, without and with fine-tuning.

    results: phase ("head", "finetune", or ANSWERS), then test set, then the record of
    `classification_metrics`.
    Returns one captioned Markdown table a test set, with a column for each phase in `results`. "–" stands
    where there is nothing to measure, such as the recall of a class without images.
    Raises ValueError for no results, an unknown phase, and phases tested on different images.
    """
    phases = [phase for phase in _TITLES if phase in results]
    unknown = sorted(set(results) - set(phases))
    if unknown or not phases:
        raise ValueError(f"results of phases {unknown or 'none'}: expected {' and/or '.join(_TITLES)}")
    test_sets = list(dict.fromkeys(name for phase in phases for name in results[phase]))
    if not test_sets:
        raise ValueError(f"no test set in the results of {' and '.join(phases)}: there is nothing to compare")
    return "\n\n".join(
        _test_set_table(
            name, {phase: results[phase][name] for phase in phases if name in results[phase]}, phases
        )
        for name in test_sets
    )


def _test_set_table(name: str, by_phase: Mapping[str, Mapping[str, Any]], phases: Sequence[str]) -> str:
    supports = [
        {key: row["support"] for key, row in record["per_class"].items()} for record in by_phase.values()
    ]
    support = supports[0]
    if any(other != support for other in supports):
        raise ValueError(f"the phases were tested on different images of {name}: {supports}; test them again")

    def row(title: str, write: Callable[[float | None], str], *keys: str) -> list[str]:
        cells = [title]
        for phase in phases:
            value: Any = by_phase.get(phase)
            for key in keys:
                value = None if value is None else value[key]
            cells.append(write(value))
        return cells

    rows = [
        row("accuracy", percent, "accuracy"),
        row("macro recall", percent, "macro_recall"),
        row("macro precision", percent, "macro_precision"),
        row("macro F1", percent, "macro_f1"),
        row("Cohen's kappa", ratio, "cohen_kappa"),
        row("macro AUROC", ratio, "macro_auroc"),
    ]
    rows += [
        row(f"{label} recall (n = {images:,})", percent, "per_class", label, "recall")
        for label, images in support.items()
    ]
    absent = [label for label, images in support.items() if images == 0]
    caption = f"**{name}**: {sum(support.values()):,} images"
    if absent:
        caption += f"; none of {', '.join(absent)}, which the macro averages leave out"
    return f"{caption}\n\n{markdown_table(['', *(_TITLES[phase] for phase in phases)], rows)}"
