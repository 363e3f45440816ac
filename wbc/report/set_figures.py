"""The figures of one model on one labelled set, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from wbc.metrics.classification import classification_metrics
from wbc.pages.figure_style import save_figure
from wbc.plain.answers import ANSWERED
from wbc.report.abstention_figure import Outcomes, risk_coverage_figure
from wbc.report.calibration_figure import reliability_figure
from wbc.report.confusion_figure import confusion_matrix_figure
from wbc.report.curve_figures import precision_recall_figure, roc_figure
from wbc.report.set_result import SetResult

CONFUSION, ROC, PRECISION_RECALL = "confusion_matrix", "roc", "precision_recall"
RELIABILITY, RISK_COVERAGE = "reliability", "risk_coverage"


def write_set_figures(
    folder: Path,
    file: str,
    title: str,
    probabilities: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    kinds: Sequence[str] = (CONFUSION, ROC, PRECISION_RECALL),
) -> None:
    """<kind>_<file>.png and .svg in `folder` for each of `kinds`.

    title: the set, and the model where it is one of several.  probabilities (N, C), labels (N,).
    """
    for kind in kinds:
        if kind == CONFUSION:
            record = classification_metrics(probabilities, labels, classes)
            images = (
                f"{record['images']:,} images, macro F1 {100 * record['macro_f1']:.1f}\N{NO-BREAK SPACE}%"
            )
            figure = confusion_matrix_figure(record["confusion"], classes, f"{title}: {images}")
        else:
            draw = {ROC: roc_figure, PRECISION_RECALL: precision_recall_figure}[kind]
            figure = draw(probabilities, labels, classes, title)
        # Matrices keep their size, which a trim to longer or shorter labels would change.
        save_figure(figure, folder / f"{kind}_{file}.png", trim=kind != CONFUSION)


def write_reliability(folder: Path, file: str, result: SetResult, plain: Tensor) -> None:
    """reliability_<file>.png and .svg: how sure and how right it was, before and after its temperature."""
    figure = reliability_figure(result.calibrated, result.labels, result.classes, result.name, unscaled=plain)
    save_figure(figure, folder / f"{RELIABILITY}_{file}.png")


def write_risk_coverage(folder: Path, results: Sequence[SetResult], max_error: float) -> None:
    """risk_coverage.png and .svg: how many answers are wrong if fewer images are answered, on every set."""
    outcomes = {
        result.name: Outcomes(
            result.answers.probabilities.max(axis=1),
            result.answered_right,
            np.array(result.answers.status) == ANSWERED,
        )
        for result in results
    }
    save_figure(risk_coverage_figure(outcomes, max_error, "Wrong answers"), folder / f"{RISK_COVERAGE}.png")
