"""What a run leaves for people: metrics, predictions, tables and figures in the run folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from wbc.answers.prediction_table import table_writer
from wbc.loading.epoch_sampler import Draw
from wbc.loading.labelled_images import LabelledImages
from wbc.pages.figure_style import save_figure
from wbc.pages.image_page import image_page_figure
from wbc.plain.lab_check import of_one_lab
from wbc.report.folds_table import folds_table, what_folds_are
from wbc.report.labelled_sets import measured_sets
from wbc.report.set_result import SetResult
from wbc.settings.layout import (
    CROSS_VALIDATION,
    FIGURES,
    FINAL_MODEL,
    PHASE_TITLES,
    RESULTS,
    WORDS,
    phase_history,
    phase_logits,
)
from wbc.training.final_model import FinalModel
from wbc.training.measuring import read_logits
from wbc.training.training_figure import training_curves_figure
from wbc.utils.files import write_text
from wbc.utils.text_tables import markdown_table, percent, ratio
from wbc.words.measured import words_table

log = logging.getLogger(__name__)

_PAGE_IMAGES = 24


def run_results(
    folder: Path, phases: Sequence[str], kept: str, manifest: pd.DataFrame, final: FinalModel
) -> list[SetResult]:
    """Each measured set of the run by the final model, which is of the phase `kept`, beside the others."""
    predictor = final.predictor
    others = {phase: read_logits(phase_logits(folder, phase)) for phase in phases if phase != kept}
    results = []
    for one in measured_sets(manifest):
        outputs, found, marks = final.seen[one.name]
        plain = {phase: outputs.logits if phase == kept else others[phase][one.name] for phase in phases}
        answers, lab = of_one_lab(
            predictor.answers(outputs, found, marks),
            outputs.features.numpy(),
            predictor.lab,
            predictor.classes,
        )
        results.append(
            SetResult(
                one,
                predictor.classes,
                {PHASE_TITLES[phase]: logits.double().softmax(dim=1) for phase, logits in plain.items()},
                answers,
                lab=lab,
                hierarchy=predictor.hierarchy,
            )
        )
    return results


def write_predictions(
    path: Path, results: Sequence[SetResult], classes: Sequence[str], attributes: Sequence[str] = ()
) -> None:
    """predictions.csv: what the final model answers for each measured image."""
    with table_writer(path, classes, attributes) as table:
        for result in results:
            for row in result.prediction_rows():
                table.writerow(row)


def final_sets(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics of each set by the final model; where the phase that was kept is no other, of that."""
    final = metrics.get(FINAL_MODEL) or metrics["phases"][metrics["kept"]["phase"]]
    return final["sets"]


def held_out_sets(phase_record: dict[str, Any]) -> dict[str, Any]:
    """The sets of a phase's record that neither trained nor chose the model."""
    return {name: metrics for name, metrics in phase_record["sets"].items() if name.startswith("test")}


def results_table(metrics: Mapping[str, Any]) -> str:
    """The "without / with fine-tuning" table of every test set, in Markdown.  metrics: as in metrics.json."""
    held_out = {phase: held_out_sets(record) for phase, record in metrics["phases"].items()}
    if FINAL_MODEL in metrics:
        held_out[FINAL_MODEL] = held_out_sets(metrics[FINAL_MODEL])
    if not any(held_out.values()):
        return "There is no test set; metrics.json has the figures of the validation images."
    return comparison_table(held_out)


def write_training_curves(folder: Path, phases: Sequence[str]) -> None:
    """Loss, accuracy, macro-F1 and learning rate over all phases."""
    history = pd.concat([pd.read_csv(phase_history(folder, phase)) for phase in phases])
    save_figure(training_curves_figure(history), folder / FIGURES / "training_curves.png")


def write_results_page(folder: Path, metrics: Mapping[str, Any]) -> None:
    """results.md: the tables as text; report.html has the figures."""
    table = results_table(metrics)
    if len(metrics["phases"]) > 1:
        kept = metrics["kept"]
        table += f"\n\nThe model is the one {PHASE_TITLES[kept['phase']]}: the run keeps {kept['because']}."
    if folds := metrics.get(CROSS_VALIDATION):
        table += f"\n\n**Cross-validation**: {what_folds_are(folds)}\n\n{markdown_table(*folds_table(folds))}"
    for name, found in metrics.get(WORDS, {}).items():
        if name != "val":
            by_words = percent(found["class_by_words"]["macro_f1"])
            table += f"\n\n**Words, {name}**: class by the words alone, macro F1 {by_words}\n\n"
            table += markdown_table(*words_table(found))
    write_text(folder / RESULTS, f"# {metrics['name']}, seed {metrics['seed']}\n\n{table}\n")
    log.info("results\n\n%s\n", table)
    log.info("tables: %s; model, metrics and predictions lie beside it", folder / RESULTS)


def write_augmented_page(folder: Path, cells: LabelledImages) -> None:
    """Training images as the network sees them in the first epoch, equally many of each class."""
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(cells.labels):
        by_class.setdefault(label, []).append(index)
    each = max(4, _PAGE_IMAGES // len(by_class))
    shown = [index for label in sorted(by_class) for index in by_class[label][:each]]
    images = [cells[Draw(index, epoch=0)].images.permute(1, 2, 0).numpy() for index in shown]
    captions = [cells.classes[cells.labels[index]] for index in shown]
    figure = image_page_figure(images, captions, "Training images after augmentation", columns=each)
    save_figure(figure, folder / "augmented_samples.png", svg=False)


_COLUMNS = PHASE_TITLES | {FINAL_MODEL: "final model"}


def comparison_table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The results of a run as the paper shows them: per test set, without and with fine-tuning.

    results: phase ("head", "finetune", or FINAL_MODEL), then test set, then the record of
    `classification_metrics`.
    Returns one captioned Markdown table a test set, with a column for each phase in `results`. "–" stands
    where there is nothing to measure, such as the recall of a class without images.
    Raises ValueError for no results, an unknown phase, and phases tested on different images.
    """
    phases = [phase for phase in _COLUMNS if phase in results]
    unknown = sorted(set(results) - set(phases))
    if unknown or not phases:
        raise ValueError(f"results of phases {unknown or 'none'}: expected {' and/or '.join(_COLUMNS)}")
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
    return f"{caption}\n\n{markdown_table(['', *(_COLUMNS[phase] for phase in phases)], rows)}"
