"""The sections of a report, in their order: the verdict first, explanations and the model card last."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from wbc.answers.predictor import Predictor
from wbc.pages.html import Section, heading, picture, side_by_side, table
from wbc.report.cell_cards import CellCards
from wbc.report.folds_table import folds_table, what_folds_are
from wbc.report.lab_table import labs_table
from wbc.report.learnt_from import fitted_on
from wbc.report.levels import levels_table
from wbc.report.model_card import model_card
from wbc.report.phases_table import phases_table, why_kept
from wbc.report.set_figures import (
    CONFUSION,
    PRECISION_RECALL,
    RELIABILITY,
    RISK_COVERAGE,
    ROC,
)
from wbc.report.set_result import SetResult
from wbc.report.tables import answers_table, calibration_table, mcnemar_table, metrics_table, per_class_table
from wbc.report.verdict import main_set, verdict


@dataclass(frozen=True)
class Report:
    """What a report is made of.

    record: as `evaluation_record`.  files: set -> what its figures are called.
    predictor, checkpoint, provenance: the reported model.  training: what is shown of the run that trained
    it, and the figure files.  remark: what else must be said of the results.
    """

    title: str
    record: Mapping[str, Any]
    results: Sequence[SetResult]
    predictor: Predictor
    checkpoint: Path
    provenance: Mapping[str, Any]
    seed: int
    files: Mapping[str, str]
    training: Mapping[str, Path] = field(default_factory=dict)
    remark: str = ""
    cross_validation: Mapping[str, Any] | None = None  # as in metrics.json of the run


def report_sections(report: Report, figures: Path, cards: CellCards) -> list[Section]:
    """What `write_page` takes.  figures: the folder where the report's figures lie as files."""
    sets = report.record["sets"]
    sections = [
        Section("Verdict", _verdict(report, cards)),
        Section("Results", _results(report)),
        Section("Confusion matrix", _shown(report, figures, CONFUSION)),
        Section("Comparison of models", _comparison(report)),
        Section("ROC and precision-recall", _shown(report, figures, ROC, PRECISION_RECALL)),
    ]
    if report.cross_validation is not None:
        sections.insert(2, Section("Cross-validation", _cross_validation(report.cross_validation)))
    if report.predictor.rule is None:
        sections.append(Section("Calibration and abstention", [_NO_RULE]))
    else:
        sections += [
            Section("Calibration", _calibration(report, figures)),
            Section("Abstention and out-of-distribution", _abstention(report, figures)),
        ]
    sections.append(Section("Most confident errors", _errors(report, cards)))
    if report.training:
        sections.append(Section("Training", _training(report)))
    return [
        *sections,
        Section("Explanations", _explanations(report, cards)),
        model_card(report.checkpoint, report.predictor, report.provenance, sets),
    ]


_SIDE_BY_SIDE = 12  # classes of a matrix whose numbers can still be read at half the page's width
_CALIBRATION = (
    "A calibrated model is right as often as its probability says. ECE is the mean gap between the two over "
    "15 bins of probability; the Brier score is the squared distance to the truth, 0 to 2."
)
_NO_RULE = (
    "The model has no rule of answers, as checkpoints of a training have none: its probabilities are not "
    "calibrated, and it holds no answer back. model.ckpt of a run folder has one."
)
_EXPLANATIONS = (
    "Where the network finds evidence for the predicted class (Grad-CAM), in images that were classified "
    "rightly, sampled from each class. explain.py shows more methods, and how far to trust them."
)
_FOR_PRINT = "has more of them, class by class, at 300 dpi for print; beside each figure lies an SVG."


def _verdict(report: Report, cards: CellCards) -> Iterator[str]:
    sets = report.record["sets"]
    yield verdict(sets, report.checkpoint, report.predictor, report.provenance)
    (main,) = (result for result in report.results if result.name == main_set(sets))
    yield f"Cells of {main.name}, sampled from each kind of answer, and what was answered."
    yield cards.examples(main, report.seed)


def _results(report: Report) -> Iterator[str]:
    record = report.record
    sets, means, reported = record["sets"], record["means"], record["reported"]
    yield f"Model: {report.checkpoint}" + (f" ({reported})." if len(report.results[0].plain) > 1 else ".")
    grouped = [name for name, one in sets.items() if one["resampled"] == "groups"]
    intervals = "95 % intervals in brackets are from 1,000 bootstrap resamples"
    if grouped:
        intervals += f", of whole groups (patients or slides) for {', '.join(grouped)}"
    yield (
        f"{intervals}; those of answers and of a class's recall are exact where there are no groups. Macro "
        "averages run over the classes that occur in a set."
    )
    if report.remark:
        yield report.remark
    yield table(*labs_table(sets, means), "Results by data set")
    for name, one in sets.items():
        if one["note"]:
            yield f"* {name}: {one['note']}, so its figures flatter; it is in no mean."
        if one["left_out"]:
            listed = ", ".join(f"{why}: {count:,}" for why, count in one["left_out"].items())
            yield f"{name}: images left out, {listed}; errors.csv and left_out.csv name them."
    for name, one in sets.items():
        others = record["compared"][name]
        of_one = per_class_table(name if not others else f"{name}, {reported}", one)
        yield side_by_side([metrics_table(name, {**others, reported: one}), of_one])


def _cross_validation(record: Mapping[str, Any]) -> Iterator[str]:
    yield what_folds_are(record)
    yield table(*folds_table(record), "Cross-validation")


def _comparison(report: Report) -> Iterator[str]:
    compared, reported = report.record["compared"], report.record["reported"]
    if not any(compared.values()):
        yield "One model was measured; compare=[a.ckpt,b.ckpt] sets several side by side."
        return
    yield (
        f"Each model against {reported} on the same images. McNemar's exact test asks whether the images "
        "that one model alone has right could be shared out by chance; a small p says that one model is "
        "better. It takes images as independent, which those of one smear are not."
    )
    yield mcnemar_table(compared, reported)


def _shown(report: Report, figures: Path, *kinds: str) -> Iterator[Markup]:
    """The figures of these kinds of every set, side by side unless they are too wide to be read so."""
    shown = [
        picture(path, f"{kind.replace('_', ' ')} of {name}", lazy=False)
        for name, file in report.files.items()
        for kind in kinds
        if (path := figures / f"{kind}_{file}.png").exists()
    ]
    if CONFUSION in kinds and len(report.predictor.classes) > _SIDE_BY_SIDE:
        yield from shown
    else:
        yield side_by_side(shown)


def _calibration(report: Report, figures: Path) -> Iterator[str]:
    assert report.predictor.rule is not None
    fitted = fitted_on(report.predictor.rule, report.provenance)
    yield f"{_CALIBRATION} The temperature was fitted on the {fitted}."
    yield calibration_table(report.record["sets"])
    yield from _shown(report, figures, RELIABILITY)


def _abstention(report: Report, figures: Path) -> Iterator[str]:
    rule = report.predictor.rule
    assert rule is not None
    fitted = fitted_on(rule, report.provenance)
    error = f"at most {100 * rule.max_error:g} % of answers are wrong"
    rest = (
        f"that {100 * rule.set_coverage:g} % of sets hold the true class, and that "
        f"{100 * rule.acceptance:g} % of known cells pass as such. The table shows what became of that."
    )
    if math.isinf(rule.threshold):
        yield f"{rule.promises_nothing(fitted)} For cells like them it promises {rest}"
    else:
        yield (
            f"The model answers where its probability is at least {rule.threshold:.4g} and its "
            f"{rule.outlier_score.method} score at most {rule.outlier_threshold:.4g}. For cells like the "
            f"{fitted} it promises that {error}, {rest}"
        )
        if said := rule.shortfall(fitted):
            yield said
    if full := rule.full_sets(fitted):
        yield full
    yield answers_table(report.record["sets"])
    yield from _levels(report)
    yield from _outliers(report)
    risk = figures / f"{RISK_COVERAGE}.png"
    yield side_by_side([picture(risk, "share of wrong answers by share answered", lazy=False)])


def _levels(report: Report) -> Iterator[str]:
    rule = report.predictor.rule
    assert rule is not None
    if not rule.superclasses or math.isinf(rule.threshold):
        return
    named = "; ".join(f"{name} ({', '.join(members)})" for name, members in rule.superclasses.items())
    yield (
        "Where the class is not that probable, the smallest superclass that is as probable is answered: "
        f"{named}. The promise holds of the answered classes, as above, and of all answers together."
    )
    for name, one in report.record["sets"].items():
        yield table(*levels_table(one["levels"]), f"{name}: answers by level; intervals as above")


def _outliers(report: Report) -> Iterator[str]:
    found = report.record["outlier_auroc"]
    if found:
        listed = ", ".join(f"{name} {area:.3f}" for name, area in found.items())
        yield f"AUROC of the score, images of another lab against those of the model's own: {listed}."


def _errors(report: Report, cards: CellCards) -> Iterator[str]:
    shown = cards.errors(report.results)
    if not shown:
        yield "There is no error."
        return
    yield (
        "The wrong answers with the highest probability, beside the heat of the predicted class. "
        f"figures/errors_<set>.png {_FOR_PRINT}"
    )
    yield shown


def _training(report: Report) -> Iterator[str]:
    if rows := phases_table(report.provenance):
        yield table(*rows, "Phases")
    if said := why_kept(report.provenance):
        yield said
    yield side_by_side(picture(path, what, lazy=False) for what, path in report.training.items())


def _explanations(report: Report, cards: CellCards) -> Iterator[str]:
    yield f"{_EXPLANATIONS} figures/explanations_<set>.png {_FOR_PRINT}"
    for result in report.results:
        shown = cards.right(result, report.seed)
        if shown and len(report.results) > 1:
            yield heading(result.name)
        yield shown
