"""The job of `evaluate.py`: models on labelled sets, into one run folder with a report."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from wbc.answers.checkpoint import load_provenance
from wbc.answers.prediction_table import table_writer
from wbc.answers.predictor import Predictor
from wbc.datasets.checks import examine_images
from wbc.errors import DataError
from wbc.evaluating.compared_models import best_model, load_models
from wbc.evaluating.leaks import TrainingImages
from wbc.labels import names_of_model
from wbc.network.device import chosen_device
from wbc.plain.answers import Answers
from wbc.report.lab_table import labs_table
from wbc.report.labelled_sets import LabelledSet, find_sets
from wbc.report.levels import levels_table
from wbc.report.page import write_report
from wbc.report.record import evaluation_record
from wbc.report.sections import Report
from wbc.report.set_result import SetResult, answered_set
from wbc.report.verdict import caveats
from wbc.settings.evaluate import EvaluateConfig
from wbc.settings.layout import ERRORS, METRICS, PREDICTIONS, REPORT
from wbc.utils.files import replacing, write_json
from wbc.utils.short_names import file_names
from wbc.utils.text_tables import markdown_table

log = logging.getLogger(__name__)

_UNREADABLE = "unreadable"
_TRAINED_ON = "trained on"


def evaluate(config: EvaluateConfig, folder: Path) -> int:
    """Measure the models of `config` on its sets into `folder`; returns how many images could not be read.

    Raises WbcError for settings, models and images that cannot be used, before anything is measured.
    """
    models = load_models(config.models, chosen_device(config.device), config.runtime)
    reported = next(reversed(models))
    checkpoint = Path(config.models[-1])
    names = names_of_model(models[reported].classes, load_provenance(checkpoint))
    sets = find_sets(config.data, names, checkpoint, config.in_lab)
    left_out = _left_out(sets, config)
    answered = [_answered(one, left_out, models, config) for one in sets]
    results = [result for result, _ in answered]
    remarks = [
        f"Answers{f' {name}' if len(models) > 1 else ''} are of {model.answered_by}; heat maps show the "
        "network alone, by the image as it is."
        for name, model in models.items()
        if model.answered_by
    ]
    if config.checkpoint is None:
        reported = best_model(results, list(models))
        checkpoint = Path(dict(zip(models, config.models, strict=True))[reported])
        hierarchy = models[reported].hierarchy
        results = [
            replace(result, answers=by_model[reported], hierarchy=hierarchy) for result, by_model in answered
        ]
        remarks.insert(
            0,
            f"{reported} is the best of {len(models)} models by macro F1 on these very images. Chosen by "
            "them, its figures flatter a little; checkpoint= names the one to report.",
        )
        log.warning("%s", remarks[0])
    provenance = load_provenance(checkpoint)
    rule = models[reported].rule
    with table_writer(folder / PREDICTIONS, models[reported].classes, models[reported].attributes) as table:
        for result in results:
            for row in result.prediction_rows():
                table.writerow(row)
    unreadable = left_out[left_out["why"] == _UNREADABLE]
    _write_rows(folder / ERRORS, unreadable)
    _write_rows(folder / "left_out.csv", left_out[left_out["why"] != _UNREADABLE])
    record: dict[str, Any] = {"models": dict(zip(models, config.models, strict=True))}
    record |= evaluation_record(results, reported)
    record["promise"] = None if rule is None else rule.promise()
    report = Report(
        title=f"Evaluation on {', '.join(result.name for result in results)}",
        record=record,
        results=results,
        predictor=models[reported],
        checkpoint=checkpoint,
        provenance=provenance,
        seed=config.seed,
        files=file_names([result.name for result in results]),
        remark=" ".join(remarks),
    )
    write_report(report, folder)
    write_json(folder / METRICS, record)
    log.info("results\n\n%s\n", markdown_table(*labs_table(record["sets"], record["means"])))
    for name, one in record["sets"].items():
        if one["levels"] is not None:
            log.info("%s: answers by level\n\n%s\n", name, markdown_table(*levels_table(one["levels"])))
    for caveat in caveats(record["sets"], rule, provenance):
        log.warning("%s", caveat)
    log.info("report: %s; metrics and predictions lie beside it", folder / REPORT)
    return len(unreadable)


def _left_out(sets: Sequence[LabelledSet], config: EvaluateConfig) -> pd.DataFrame:
    """The images that are not measured: columns data, path, why and reason.

    Raises DataError for a set of which nothing is left.
    """
    training = TrainingImages(config.models, config.checks_dir, config.workers)
    paths = sorted({path for one in sets for path in one.rows["path"]})
    examined = examine_images(paths, config.checks_dir, config.workers)
    rows = []
    for one in sets:
        listed = one.rows["path"].tolist()
        leaks = training.reasons(listed, examined, one.split)
        found = [
            (one.name, path, _UNREADABLE if path in examined.reasons else _TRAINED_ON, reason)
            for path, leak in zip(listed, leaks, strict=True)
            if (reason := examined.reasons.get(path, leak))
        ]
        counts = Counter(why for _, _, why, _ in found)
        for why, count in counts.items():
            _, path, _, reason = next(row for row in found if row[2] == why)
            log.warning(
                "%s: left out, %s: %d of %d images, e.g. %s: %s",
                one.name,
                why,
                count,
                len(listed),
                path,
                reason,
            )
        if len(found) == len(listed):
            raise DataError(
                f"data set {one.name}: all {len(listed)} images are left out "
                f"({', '.join(f'{why} {count}' for why, count in counts.items())}), e.g. {found[0][1]}: "
                f"{found[0][3]}; give other images"
            )
        rows += found
    return pd.DataFrame(rows, columns=["data", "path", "why", "reason"])


def _answered(
    one: LabelledSet, left_out: pd.DataFrame, models: dict[str, Predictor], config: EvaluateConfig
) -> tuple[SetResult, dict[str, Answers]]:
    gone = left_out[left_out["data"] == one.name]
    rows = one.rows[~one.rows["path"].isin(gone["path"])].reset_index(drop=True)
    counts = {str(why): int(count) for why, count in gone["why"].value_counts().items()}
    return answered_set(replace(one, rows=rows), models, config.batch_size, config.workers, counts)


def _write_rows(path: Path, rows: pd.DataFrame) -> None:
    with replacing(path) as beside:
        rows[["data", "path", "reason"]].to_csv(beside, index=False)
