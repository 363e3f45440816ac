"""The report that ends a training run: its test sets by the final model, beside the phase before."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wbc.answers.checkpoint import load_provenance
from wbc.answers.predictor import Predictor
from wbc.report.page import write_report
from wbc.report.record import evaluation_record
from wbc.report.sections import Report
from wbc.report.set_figures import CONFUSION, ROC, write_set_figures
from wbc.report.set_result import SetResult
from wbc.report.verdict import caveats
from wbc.settings.layout import (
    EVALUATION,
    FIGURES,
    MODEL,
    NEAR_COPIES,
    NEAR_COPIES_PAGE,
    PHASE_TITLES,
    REPORT,
)
from wbc.utils.files import write_json

log = logging.getLogger(__name__)

_TRAINING = {
    "loss, accuracy and learning rate by epoch": "training_curves.png",
    "training images after augmentation": "augmented_samples.png",
    "near-copies among the images": NEAR_COPIES_PAGE,
}


def write_run_report(
    folder: Path,
    title: str,
    kept: str,
    predictor: Predictor,
    results: Sequence[SetResult],
    cross_validation: Mapping[str, Any] | None = None,
) -> None:
    """report.html and evaluation.json of a run: its test sets, or validation where there is none.

    kept: the phase that the final model is of.  results: each measured set by it, beside the other phases.
    cross_validation: as in metrics.json, where there is one.
    """
    shown = [result for result in results if result.of.split != "val"] or list(results)
    figures = folder / FIGURES
    for result in shown:
        for phase, title_of_phase in PHASE_TITLES.items():
            if phase == kept or title_of_phase not in result.plain:
                continue
            write_set_figures(
                figures,
                f"{result.name}_{phase}",
                f"{result.name}, {title_of_phase}",
                result.plain[title_of_phase],
                result.labels,
                result.classes,
                (CONFUSION, ROC),
            )
    record = evaluation_record(shown, PHASE_TITLES[kept])
    provenance = load_provenance(folder / MODEL)
    report = Report(
        title=title,
        record=record,
        results=shown,
        predictor=predictor,
        checkpoint=folder / MODEL,
        provenance=provenance,
        seed=provenance["config"]["seed"],
        files={result.name: f"{result.name}_{kept}" for result in shown},
        remark=_remark(predictor, PHASE_TITLES[kept]),
        cross_validation=cross_validation,
        training={
            what: figures / file
            for what, file in _TRAINING.items()
            if file != NEAR_COPIES_PAGE or (folder / NEAR_COPIES).exists()
        },
    )
    write_report(report, folder)
    record["promise"] = None if predictor.rule is None else predictor.rule.promise()
    for caveat in caveats(record["sets"], predictor.rule, provenance):
        log.warning("%s", caveat)
    write_json(folder / EVALUATION, record)
    log.info("report: %s; model, metrics and predictions lie beside it", folder / REPORT)


def _remark(predictor: Predictor, title: str) -> str:
    if not predictor.answered_by:
        return ""
    return (
        f"Results {title} are of the final model: {predictor.answered_by}. Those of the network alone stand "
        "in metrics.json and results.md. Heat maps show the network alone, by the image as it is."
    )
