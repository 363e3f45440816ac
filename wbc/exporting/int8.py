"""The exported network in whole numbers of eight bits: smaller and faster, where it answers as well.

Post-training quantisation by ONNX Runtime: limits of each layer's values from validation images (Jacob 2018),
a scale for each channel of the weights.  The head stays in float32, and the rule of answers is fitted anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wbc.answers.predictor import Outputs, Predictor
from wbc.answers.rule import AnswerRule, fit_rule
from wbc.errors import ConfigError
from wbc.images.decode import decode
from wbc.metrics.calibration import expected_calibration_error
from wbc.metrics.classification import classification_metrics
from wbc.plain.lab_check import fit_lab_check
from wbc.settings.abstain import AbstainConfig

log = logging.getLogger(__name__)

_CALIBRATED_BY = 300  # images, by which each layer's limits are set
_MOST_LOST = 0.002  # of macro F1
_ECE = 0.01  # that the answers must stay below, where those of float32 do
_BATCH = 10


def with_int8(
    predictor: Predictor, paths: Sequence[str], labels: Sequence[str], folder: Path
) -> tuple[Predictor, dict[str, Any]]:
    """Make the network in `folder` one of int8; the predictor that answers by it, and figures of both.

    paths, labels: the validation images, which set the limits, fit the rule and tell whether it is as good.
    Words are left out: thresholds of attributes hold for features in float32.
    Raises ConfigError where it is not, or where the model has no rule that could be fitted on them.
    """
    rule = predictor.rule
    if rule is None or rule.folds:
        kind = "no rule of answers" if rule is None else "a rule of answers by cross-validation (data.folds)"
        raise ConfigError(
            f"precision=int8 fits the rule of answers anew on validation images; this model has {kind}: give "
            "precision=float32"
        )
    truth = torch.tensor([predictor.classes.index(label) for label in labels])
    before, answers, _ = predictor.answer_files(paths, 32, None, "by this model in float32")
    figures: dict[str, Any] = {
        "float32": _figures(before.logits, answers.probabilities, truth, predictor.classes)
    }
    _quantise(predictor, paths, folder / "network.onnx")
    found = Predictor(
        predictor.network,
        None,
        predictor.views,
        predictor.second_opinion,
        predictor.pictures,
        size=predictor.size,
    )
    found.runtime = _OnnxRuntime(folder)
    after, _, marks = found.answer_files(paths, 32, None, "by int8")
    found.rule = _rule(rule, after, truth, predictor.classes)
    found.lab = fit_lab_check(after.features.numpy(), after.logits.argmax(dim=1).numpy())
    probabilities = found.answers(after, [None] * len(marks), marks).probabilities
    if predictor.words is not None:
        figures["words_left_out"] = True
        log.warning("words are left out: their promises hold for features in float32; give precision=float32")
    figures["int8"] = _figures(after.logits, probabilities, truth, predictor.classes)
    _refuse_worse(figures)
    return found, figures


def _figures(logits: Tensor, probabilities: np.ndarray, truth: Tensor, classes: list[str]) -> dict[str, Any]:
    calibrated = torch.from_numpy(probabilities)
    metrics = classification_metrics(logits.double().softmax(dim=1), truth, classes)
    return {
        "images": len(truth),
        "macro_f1": metrics["macro_f1"],
        "ece": expected_calibration_error(calibrated, truth),
    }


def _refuse_worse(figures: dict[str, Any]) -> None:
    before, after = figures["float32"], figures["int8"]
    log.info(
        "macro F1 %.2f %% by int8, %.2f %% by float32", *(100 * one["macro_f1"] for one in (after, before))
    )
    lost = before["macro_f1"] - after["macro_f1"]
    if lost > _MOST_LOST or after["ece"] >= max(_ECE, before["ece"]):
        raise ConfigError(
            f"precision=int8 is worse on {before['images']:,} validation images: macro F1 "
            f"{100 * after['macro_f1']:.2f} % for {100 * before['macro_f1']:.2f} %, of which "
            f"{100 * _MOST_LOST:g} may be lost, ECE {100 * after['ece']:.2f} % for "
            f"{100 * before['ece']:.2f} %. Nothing was exported: give precision=float32"
        )


def _rule(rule: AnswerRule, outputs: Outputs, truth: Tensor, classes: list[str]) -> AnswerRule:
    method = rule.outlier_score.method
    asked = AbstainConfig(rule.asked_error, rule.set_coverage, method, rule.acceptance)
    kinds = rule.outlier_score.unknown_kinds
    found = fit_rule(
        outputs.features, outputs.logits, truth, asked, hierarchy=rule.hierarchy(classes), unknown=kinds
    )
    # Unknown kinds were told from these very images, which are too familiar for a threshold of their own.
    return found if kinds is None else replace(found, outlier_threshold=rule.outlier_threshold)


def _quantise(predictor: Predictor, paths: Sequence[str], graph: Path) -> None:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    rng = np.random.default_rng(0)
    chosen = sorted(rng.permutation(len(paths))[:_CALIBRATED_BY])

    class Pictures(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = _pixels(predictor, [paths[place] for place in chosen])

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"pixels": batch}

    log.info("quantising the network by %d images", len(chosen))
    prepared, beside = graph.with_suffix(".prepared"), graph.with_suffix(".int8")
    quant_pre_process(graph, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        beside,
        Pictures(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=_behind_features(onnx.load(prepared).graph),
    )
    prepared.unlink()
    os.replace(beside, graph)


def _behind_features(graph: Any) -> list[str]:
    """The nodes of the head."""
    behind, names = {"features"}, []
    for node in graph.node:  # each stands behind those that it takes values of
        if behind.intersection(node.input):
            behind.update(node.output)
            names.append(node.name)
    return names


def _pixels(predictor: Predictor, paths: Sequence[str]) -> Iterator[np.ndarray]:
    for start in range(0, len(paths), _BATCH):
        pictures = [predictor.prepare.picture(decode(path)).pixels for path in paths[start : start + _BATCH]]
        yield np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32)


class _OnnxRuntime:
    """What `wbc.runtime.runtime.Runtime` does, by an exported network."""

    def __init__(self, folder: Path) -> None:
        from wbc.exporting.standalone.onnx_engine import Engine  # onnxruntime is an extra

        self._engine = Engine(folder)

    def expect(self, images: int) -> None:
        """Nothing is to be decided."""

    def values(self, batch: Tensor) -> Tensor:
        """Features (N, D) of (N, 3, S, S) of 0..255."""
        return torch.from_numpy(self._engine(batch.numpy().astype(np.float32))[0])
