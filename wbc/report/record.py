"""What is measured on labelled sets, as metrics.json holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from wbc.metrics.mcnemar import mcnemar_test
from wbc.metrics.with_intervals import drawn_units, measured_calibration, measured_set, share_limits
from wbc.plain.answers import ANSWERED, UNCERTAIN, UNKNOWN
from wbc.plain.lab_check import ELSEWHERE
from wbc.plain.picture_check import SEVERAL_CELLS, SWAPPED
from wbc.report.lab_table import lab_means
from wbc.report.levels import levels_record
from wbc.report.set_result import SetResult


def evaluation_record(results: Sequence[SetResult], reported: str) -> dict[str, Any]:
    """All sets measured: in full for the model `reported`, and every other model held against it."""
    sets = {result.name: set_record(result, reported) for result in results}
    return {
        "reported": reported,
        "classes": results[0].classes,
        "macro_averages": "over the classes that occur in the set",
        "sets": sets,
        "means": lab_means(sets),
        "outlier_auroc": outlier_aurocs(results),
        "compared": {
            result.name: {
                name: _compared(result, name, reported) for name in result.plain if name != reported
            }
            for result in results
        },
    }


def outlier_aurocs(results: Sequence[SetResult]) -> dict[str, float]:
    """Set -> how well the outlier score alone tells its images from those of the model's own lab, 0.5 to 1
    where theirs is higher; {} where there are no images of the own lab, or no score.
    """
    own = [result for result in results if result.of.in_lab and not result.of.note]
    others = [result for result in results if not result.of.in_lab]
    if not own or not results[0].is_calibrated:
        return {}
    known = np.concatenate([result.answers.scores for result in own])
    found = {}
    for result in others:
        is_other = np.r_[np.zeros(len(known)), np.ones(len(result.answers.scores))]
        area = roc_auc_score(is_other, np.r_[known, result.answers.scores])
        found[result.name] = round(float(area), 6)
    return found


def _compared(result: SetResult, name: str, reported: str) -> dict[str, Any]:
    test = mcnemar_test(result.right(name), result.right(reported))
    measured = _measured(result, name)
    return measured | {
        "mcnemar": {
            "both_right": test.both_right,
            "only_this_right": test.only_first,
            "only_reported_right": test.only_second,
            "both_wrong": test.both_wrong,
            "p": test.p,
        }
    }


def set_record(result: SetResult, model: str) -> dict[str, Any]:
    """All that is measured of the reported `model` on the set: `measured_set` of the plain probabilities,
    and under `answers` what its rule makes of them, None without a rule; under `levels` how far down answers
    go, None without superclasses; under `lab` whether its pictures are of another lab.
    """
    record: dict[str, Any] = {
        "split": result.of.split,
        "in_lab": result.of.in_lab,
        "note": result.of.note,
        "left_out": result.left_out,
        **_measured(result, model),
        "answers": None,
        "levels": levels_record(result),
        "lab": result.lab,
    }
    if result.is_calibrated:
        record["answers"] = _answers_record(result)
    return record


def _measured(result: SetResult, model: str) -> dict[str, Any]:
    return measured_set(
        result.plain[model], result.labels, result.classes, result.groups, result.metrics(model)
    )


def _answers_record(result: SetResult) -> dict[str, Any]:
    status = np.array(result.answers.status)
    answered = status == ANSWERED
    covered = np.array(
        [label in names for label, names in zip(result.of.rows["label"], result.answers.sets, strict=True)]
    )
    units = drawn_units(result.groups, len(status))
    count, right = int(answered.sum()), int(result.answered_right[answered].sum())
    return {
        **measured_calibration(result.calibrated, result.labels, result.groups),
        "answered": count,
        "answered_share": _share(count, len(status)),
        "answered_right": right,
        "answered_accuracy": _share(right, count),
        "answered_accuracy_interval": share_limits(result.answered_right, answered, units),
        "withheld": _withheld(result, status == ELSEWHERE),
        "uncertain_share": _share(int((status == UNCERTAIN).sum()), len(status)),
        "unknown_share": _share(int((status == UNKNOWN).sum()), len(status)),
        "unlike_a_crop_share": _share(int(np.isin(status, (SEVERAL_CELLS, SWAPPED)).sum()), len(status)),
        "set_coverage": _share(int(covered.sum()), len(covered)),
        "set_coverage_interval": share_limits(covered, np.ones_like(covered), units),
        "mean_set_size": round(float(np.mean([len(names) for names in result.answers.sets])), 6),
    }


def _withheld(result: SetResult, held_back: np.ndarray) -> dict[str, Any] | None:
    """What would be answered, were the pictures of the model's own lab; None where they are taken to be."""
    if not held_back.any():
        return None
    count, right = int(held_back.sum()), int(result.answered_right[held_back].sum())
    return {"images": count, "share": _share(count, len(held_back)), "accuracy": _share(right, count)}


def _share(count: int, total: int) -> float | None:
    return round(count / total, 6) if total else None
