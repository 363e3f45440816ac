"""The final model of a run: the trained network, test-time views, second opinion and the rule of answers."""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple

import pandas as pd

from wbc.answers.averaged_views import AveragedViews
from wbc.answers.predictor import Predictor, known_bank
from wbc.answers.rule import OutOfFold, fit_rule
from wbc.datasets.manifest import DRAWN
from wbc.hierarchy import Hierarchy
from wbc.loading.augment import Augment
from wbc.loading.datamodule import ImageData
from wbc.network.network import Network
from wbc.plain.known_cells import KnownCells
from wbc.plain.lab_check import fit_lab_check
from wbc.plain.picture_check import fit_picture_check
from wbc.settings.train import Config
from wbc.training.fit_second_opinion import fit_second_opinion
from wbc.training.fit_size_opinion import measured_size_opinion
from wbc.training.learnt_attributes import LearntAttributes
from wbc.training.learnt_unknowns import measured_unknowns, unknown_outputs
from wbc.training.measuring import SetOutputs, measured_outputs
from wbc.utils.short_names import names_below

log = logging.getLogger(__name__)


class FinalModel(NamedTuple):
    """The predictor that model.ckpt holds, and its outputs for each measured set of the run."""

    predictor: Predictor
    seen: dict[str, SetOutputs]
    words: dict[str, dict[str, Any]]  # set -> `wbc.words.measured.measured_words`; empty without words
    unknown: dict[str, Any] | None  # `measured_unknowns`; None without data.unknown


def final_model(
    config: Config,
    network: Network,
    augment: Augment,
    data: ImageData,
    out_of_fold: OutOfFold | None = None,
    attributes: LearntAttributes | None = None,
    unknown: pd.DataFrame | None = None,
) -> FinalModel:
    """What measurements say is fitted on training cells, the rule by the outputs for validation images.

    out_of_fold: of a cross-validation, see `fit_rule`.  attributes: to be told in words.
    unknown: the images of data.unknown, as `wbc.datasets.unknown_cells` has them.
    """
    model = config.model
    draws = model.test_time.draws
    opinion = None
    if model.second_opinion:
        drawn = (data.rows["train"]["source"] == DRAWN).tolist()
        opinion = fit_second_opinion(
            data.images("train"), drawn, model.second_opinion, data.workers, config.seed
        )
    views = AveragedViews(draws, augment.state() if draws else None)
    size = (
        measured_size_opinion(data.rows["train"], data.classes, config.seed) if model.size_opinion else None
    )
    predictor = Predictor(network, views=views, second_opinion=opinion, size=size)
    seen = measured_outputs(predictor, data, config)
    val = seen["val"].outputs
    hierarchy = Hierarchy(config.data.hierarchy, data.classes)
    others = None if unknown is None else unknown_outputs(predictor, unknown, data.batch_size)
    rule = fit_rule(
        val.features,
        val.logits,
        data.labels("val"),
        config.abstain,
        out_of_fold,
        hierarchy,
        None if others is None else others.learnt,
    )
    predictor.rule = rule
    predictor.pictures = fit_picture_check(seen["val"].marks, predictor.prepare)
    predictor.lab = fit_lab_check(val.features.numpy(), val.logits.argmax(dim=1).numpy())
    if math.isfinite(rule.threshold):  # else a warning has said that and why nothing is answered
        log.info(
            "answers: where the class has a calibrated probability of %.1f %% or more (temperature %.2f)",
            *(100 * rule.threshold, rule.temperature),
        )
    if predictor.answered_by:
        log.info("answers come from %s", predictor.answered_by)
    words = {}
    if attributes is not None:
        predictor.words = attributes.fitted(predictor, data, val.features, config)
        words = attributes.measured(predictor, data, seen)
    if known_bank(rule) is not None:
        predictor.known = KnownCells(
            names_below(data.rows["val"]["path"].tolist()),
            data.labels("val").numpy(),
            None if attributes is None else attributes.targets(data, "val"),
        )
    refused = None if others is None else measured_unknowns(predictor, others)
    return FinalModel(predictor, seen, words, refused)
