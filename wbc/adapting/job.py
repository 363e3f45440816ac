"""The job of `adapt.py`: a head refitted to another lab's cells, where cross-validation says it helps."""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from wbc.adapting.cross_validation import LabCells, out_of_fold, refitted
from wbc.adapting.lab_cells import (
    REST,
    USED,
    cells_manifest,
    lab_cells,
    turned_copies,
    unlabelled_logits,
)
from wbc.adapting.lab_mix import estimated_mix, given_mix, mix_shift
from wbc.adapting.report import Comparison, write_comparison
from wbc.answers.checkpoint import load_model, load_provenance, save_model
from wbc.answers.predictor import Predictor, known_bank
from wbc.answers.rule import fit_rule
from wbc.answers.temperature import fit_temperature
from wbc.datasets.manifest import used_rows, write_manifest
from wbc.errors import CheckpointError
from wbc.images.boxes import photograph_of
from wbc.images.picture_marks import PictureMarks
from wbc.labels import names_of_model
from wbc.network.device import chosen_device, one_thread
from wbc.network.network import Head
from wbc.plain.known_cells import KnownCells
from wbc.plain.lab_check import fit_lab_check
from wbc.plain.picture_check import PictureCheck, fit_picture_check
from wbc.settings import layout, run_folder
from wbc.settings.adapt import AdaptConfig
from wbc.settings.parse import as_plain
from wbc.utils.files import replacing
from wbc.utils.short_names import names_below
from wbc.utils.text_tables import percent

log = logging.getLogger(__name__)


def adapt(config: AdaptConfig, folder: Path) -> int:
    """Settle the model of `config` into the lab of its cells; returns how many of them could not be read.

    The model is written to `folder` last.  Raises WbcError for settings and cells that cannot be used.
    """
    predictor = load_model(config.checkpoint).to(chosen_device(config.device)).by(config.runtime)
    if config.abstain.outlier_score is None:
        method = "knn" if predictor.rule is None else predictor.rule.outlier_score.method
        config = replace(config, abstain=replace(config.abstain, outlier_score=method))
    classes = predictor.classes
    mix = None if config.mix is None else given_mix(config.mix, classes)
    provenance = load_provenance(config.checkpoint)
    manifest = cells_manifest(config, names_of_model(classes, provenance))
    write_manifest(manifest, folder / layout.MANIFEST)
    readable = used_rows(manifest)
    rows, rest = (readable[readable["split"] == name] for name in (USED, REST))
    (folder / "rest.csv").unlink(missing_ok=True)  # of a stopped run with other settings
    if len(rest):
        with replacing(folder / "rest.csv") as beside:
            rest[["path", "label"]].to_csv(beside, index=False)
    elif config.measure_rest:
        log.warning("measure_rest: every cell is taken, and none is left to measure on; lower per_class")
    copies = turned_copies(config.views, predictor.views)
    cells, marks = _cells(rows, predictor, copies, config.batch_size)
    old = copy.deepcopy(predictor.network.head).cpu().requires_grad_(False)
    photographs = torch.tensor(pd.factorize(rows["path"].map(photograph_of))[0])
    tried, comparison, unread = _tried(config, predictor, old, cells, photographs, mix)
    helps = comparison.helps()
    new = tried if helps else old
    logits = comparison.after if helps else comparison.before
    temperature_before = 1.0 if predictor.rule is None else predictor.rule.temperature
    predictor.rule = fit_rule(
        cells.features[:, 0],
        logits,
        cells.labels,
        config.abstain,
        hierarchy=predictor.hierarchy,
        unknown=None if predictor.rule is None else predictor.rule.outlier_score.unknown_kinds,
    )
    predictor.pictures = _pictures(predictor, marks)
    predictor.lab = fit_lab_check(cells.features[:, 0].numpy(), logits.argmax(dim=1).numpy())
    predictor.known = None
    if known_bank(predictor.rule) is not None:
        predictor.known = KnownCells(names_below(rows["path"].tolist()), cells.labels.numpy())
    with replacing(folder / "out_of_fold.csv") as beside:
        temperatures = (temperature_before, predictor.rule.temperature)
        _cell_table(rows, comparison, temperatures, classes).to_csv(beside, index=False, float_format="%.6g")
    on_rest = _on_rest(rest, predictor, old, new, config) if config.measure_rest and len(rest) else None
    write_comparison(config, folder, comparison, predictor.rule, helps, on_rest)
    predictor.network.head = new
    made = _provenance(provenance, config, rows, helps)
    save_model(predictor, folder / layout.MODEL, made)
    log.info("model: %s", folder / layout.MODEL)
    return int(manifest["excluded"].str.startswith("unreadable").sum()) + unread


def _tried(
    config: AdaptConfig,
    predictor: Predictor,
    old: Head,
    cells: LabCells,
    photographs: Tensor,
    mix: Tensor | None,
) -> tuple[Head, Comparison, int]:
    """The head refitted to all cells, what heads without a cell say of it, and how many unlabelled images
    could not be read.

    mix (C,): the shares of the lab's classes; None: estimated from the unlabelled images, if there are any.
    """
    try:
        with one_thread():
            honest = out_of_fold(old, cells, config.strength, config.folds, config.seed, photographs)
            new = refitted(old, cells, config.strength)
    except ValueError as error:
        raise CheckpointError(f"{config.checkpoint}: {error}") from error
    temperature, unread = fit_temperature(honest.double(), cells.labels), 0
    if config.unlabelled is not None:
        logits, unread = unlabelled_logits(config.unlabelled, config, predictor, new)
        mix = estimated_mix(logits, cells.labels, temperature)
        shares = zip(predictor.classes, mix.tolist(), strict=True)
        told = ", ".join(f"{name} {percent(share)}" for name, share in shares)
        log.info("the lab's mix, estimated from %d unlabelled images: %s", len(logits), told)
    if mix is not None:
        shift = mix_shift(mix, cells.labels, temperature).float()
        honest = honest + shift
        with torch.no_grad():
            new.kernels[-1].bias.add_(shift)
    return new, Comparison(cells.logits(old), honest, cells.labels, predictor.classes, mix), unread


def _pictures(predictor: Predictor, marks: list[PictureMarks]) -> PictureCheck:
    """What this lab's pictures look like; but cells of photographs are cut as the backbone knows cells from
    its own training, which does not change.
    """
    before, found = predictor.pictures, fit_picture_check(marks, predictor.prepare)
    if before is None or not before.usual_share:
        return found
    return replace(found, usual_share=before.usual_share)


def _cells(
    rows: pd.DataFrame, predictor: Predictor, copies: int, batch_size: int
) -> tuple[LabCells, list[PictureMarks]]:
    labels = torch.tensor([predictor.classes.index(label) for label in rows["label"]])
    return lab_cells(predictor, rows["path"].tolist(), labels, copies, batch_size)


def _cell_table(
    rows: pd.DataFrame, comparison: Comparison, temperatures: tuple[float, float], classes: list[str]
) -> pd.DataFrame:
    """A row a cell: what the model answered before, and what a head says that did not learn from it.

    temperatures: of the model before, and of the one that is saved.
    """
    before, after = (
        (logits.double() / temperature).softmax(dim=1)
        for logits, temperature in zip((comparison.before, comparison.after), temperatures, strict=True)
    )
    table = rows[["path", "label"]].reset_index(drop=True)
    table["prediction_before"] = [classes[index] for index in before.argmax(dim=1).tolist()]
    table["probability_before"] = before.max(dim=1).values.numpy()
    table["prediction"] = [classes[index] for index in after.argmax(dim=1).tolist()]
    return pd.concat([table, pd.DataFrame(after.numpy(), columns=classes)], axis=1)


def _on_rest(
    rest: pd.DataFrame, predictor: Predictor, old: Head, new: Head, config: AdaptConfig
) -> Comparison:
    cells, _ = _cells(rest, predictor, 1, config.batch_size)
    return Comparison(cells.logits(old), cells.logits(new), cells.labels, predictor.classes)


def _provenance(old: dict[str, Any], config: AdaptConfig, rows: pd.DataFrame, helps: bool) -> dict[str, Any]:
    """That of the `old` model, and what was done to it; what was done before is kept inside."""
    adapted = {
        "from": config.checkpoint,
        "helped": helps,
        "strength": config.strength if helps else None,
        "cells": rows[["path", "label"]].to_dict("list"),
        "config": as_plain(config),
        "versions": run_folder.versions(),
    }
    if "adapted" in old:
        adapted["before"] = old["adapted"]
    return old | {"adapted": adapted}
