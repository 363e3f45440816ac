"""The report that ends a training run: its test sets by the final model, beside the phase before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from wbc.answers.checkpoint import load_provenance
from wbc.answers.predictor import Predictor
from wbc.answers.rule import Answers
from wbc.answers.stream import model_outputs
from wbc.loading.datamodule import CellData
from wbc.metrics.classification import classification_metrics
from wbc.network.network import Network
from wbc.report.labelled_sets import LabelledSet, own_sets
from wbc.report.page import REPORT, write_report
from wbc.report.record import evaluation_record
from wbc.report.sections import Report
from wbc.report.set_figures import CONFUSION, ROC, write_set_figures
from wbc.report.set_result import SetResult
from wbc.settings.run_folder import MODEL, PHASE_TITLES, log_folder
from wbc.training.results import read_predictions
from wbc.utils.files import read_json, write_json

__all__ = ["REPORT", "write_run_report"]

EVALUATION = "evaluation.json"
_TRAINING = {
    "loss, accuracy and learning rate by epoch": "training_curves.png",
    "training images after augmentation": "augmented_samples.png",
}


def final_outputs(
    predictor: Predictor, manifest: pd.DataFrame, data: CellData
) -> dict[str, tuple[Tensor, Answers]]:
    """Of each of a run's own sets (see `own_sets`): what `model_outputs` finds, as predict.py would."""
    return {
        one.name: model_outputs(predictor, one.rows["path"].tolist(), data.batch_size, data.workers, one.name)
        for one in own_sets(manifest)
    }


def output_metrics(
    manifest: pd.DataFrame, outputs: Mapping[str, tuple[Tensor, Answers]], classes: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The metrics of each set of `final_outputs`, of the probabilities before calibration."""
    metrics = {}
    for one in own_sets(manifest):
        labels = torch.tensor([classes.index(label) for label in one.rows["label"]])
        metrics[one.name] = classification_metrics(outputs[one.name][0], labels, classes)
    return metrics


def write_run_report(
    folder: Path,
    title: str,
    phases: Sequence[str],
    predictor: Predictor,
    manifest: pd.DataFrame,
    data: CellData,
    outputs: Mapping[str, tuple[Tensor, Answers]],
) -> None:
    """report.html and evaluation.json of a run whose phases have left their predictions.

    Probabilities are those that each phase's metrics were made of, so that page and metrics.json agree; the
    answers are those of `outputs`.  Where these are of more than the network and the image as it is, so are
    the probabilities of the last phase, or its calibration would compare the two.
    """
    figures = folder / "figures"
    tables = {phase: read_predictions(log_folder(folder, phase) / "predictions.csv") for phase in phases}
    results = []
    for one in own_sets(manifest):
        plain = {PHASE_TITLES[phase]: _probabilities(tables[phase], one, data.classes) for phase in phases}
        averaged, answers = outputs[one.name]
        if predictor.network.answered_by:
            plain[PHASE_TITLES[phases[-1]]] = averaged
        results.append(SetResult(one, data.classes, plain, answers))
        for phase in phases[:-1]:
            shown, labels = plain[PHASE_TITLES[phase]], results[-1].labels
            name = f"{one.name}, {PHASE_TITLES[phase]}"
            write_set_figures(
                figures, f"{one.name}_{phase}", name, shown, labels, data.classes, (CONFUSION, ROC)
            )
    precision = read_json(log_folder(folder, phases[-1]) / "result.json")["precision"]
    record = evaluation_record(results, PHASE_TITLES[phases[-1]])
    report = Report(
        title=title,
        record=record,
        results=results,
        predictor=predictor,
        checkpoint=folder / MODEL,
        provenance=load_provenance(folder / MODEL),
        seed=data.seed,
        files={result.name: f"{result.name}_{phases[-1]}" for result in results},
        remark=_remark(precision, predictor.network, PHASE_TITLES[phases[-1]]),
        training={what: figures / file for what, file in _TRAINING.items()},
    )
    write_report(report, folder)
    write_json(folder / EVALUATION, record)


def _remark(precision: str, network: Network, last: str) -> str:
    if not network.answered_by:
        return (
            f"Results are those of the training run, in precision {precision}; answers, calibration after "
            "scaling and explanations are computed in float32, as predict.py and evaluate.py do. Borderline "
            "images can differ between the two."
        )
    return (
        f"Results {last} are of {network.answered_by}, in float32, as those of predict.py and evaluate.py; "
        "those of a phase, in metrics.json and results.md too, are of the network and the image as it is, in "
        f"the training run's precision, {precision}. So are explanations, in float32."
    )


def _probabilities(predictions: pd.DataFrame, one: LabelledSet, classes: Sequence[str]) -> Tensor:
    """(N, C) float64 in the order of the set's rows.  KeyError where a prediction is missing."""
    rows = predictions[predictions["split"] == one.split].set_index("path")
    return torch.from_numpy(rows.loc[one.rows["path"], list(classes)].to_numpy(dtype=float))
