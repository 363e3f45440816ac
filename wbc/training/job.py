"""The main job: from settings to a tested model with its figures, in one run folder."""

from __future__ import annotations

import itertools
import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pytorch_lightning import seed_everything
from torch import Tensor

from wbc.answers.checkpoint import save_model
from wbc.answers.predictor import Predictor
from wbc.datasets.manifest import image_counts, used_rows
from wbc.datasets.unknown_cells import unknown_cells
from wbc.errors import ConfigError
from wbc.images.prepare import Prepare
from wbc.loading.augment import Augment
from wbc.loading.datamodule import ImageData
from wbc.network.network import Network
from wbc.report.set_result import SetResult
from wbc.settings import run_folder
from wbc.settings.layout import (
    CACHE,
    CROSS_VALIDATION,
    FIGURES,
    FINAL_MODEL,
    METRICS,
    MODEL,
    PHASE_TITLES,
    PREDICTIONS,
    WORDS,
    final_logits,
    phase_history,
    phase_logits,
    phase_result,
)
from wbc.settings.train import Config
from wbc.training.best_epoch import load_best
from wbc.training.final_model import FinalModel, final_model
from wbc.training.folds import CrossValidation, cross_validated, write_out_of_fold
from wbc.training.kept_phase import RULE, best_epoch, image_losses, kept_phase
from wbc.training.learnt_attributes import attribute_loss, learnt_attributes
from wbc.training.logged_run import logged_run
from wbc.training.loggers import Loggers
from wbc.training.manifest import run_manifest_of
from wbc.training.measuring import logits_metrics, measured_outputs, read_logits, write_logits
from wbc.training.phases import phases_to_run, run_phase
from wbc.training.precision import with_precision
from wbc.training.results import (
    final_sets,
    run_results,
    write_augmented_page,
    write_predictions,
    write_results_page,
    write_training_curves,
)
from wbc.training.run_report import write_run_report
from wbc.training.starting_network import check_start, starting_network
from wbc.utils.files import read_json, replacing, write_json

log = logging.getLogger(__name__)


def train(config: Config, folder: Path) -> dict[str, Any]:
    """Run all phases of `config` in `folder` and return the content of its metrics.json.

    Of several processes the first writes and measures; the others return {}.

    A folder that holds an interrupted run of the same settings is continued: finished phases are not
    repeated, an unfinished one goes on after its last whole epoch.  Raises WbcError with the mend for input
    that cannot be used, before anything is trained.
    """
    seed_everything(config.seed, workers=True, verbose=False)
    augment = _augment(config)
    loggers = Loggers(config, folder)
    check_start(config, folder)
    manifest = run_manifest_of(config, folder)
    folds = cross_validated(config, folder, manifest, train)
    with loggers:
        metrics = _trained(config, folder, manifest, augment, folds, loggers)
        if metrics:
            loggers.hand_over(logged_run(config, folder, metrics))
    return metrics


def _trained(
    config: Config,
    folder: Path,
    manifest: pd.DataFrame,
    augment: Augment,
    folds: CrossValidation | None,
    loggers: Loggers,
) -> dict[str, Any]:
    """The content of metrics.json, from the images of `manifest`; {} in all processes but the first."""
    unknown = unknown_cells(config.data, manifest)
    data = ImageData(
        manifest,
        config.data.classes,
        Prepare(config.model.image_size_px, config.model.standardise),
        config.training.batch_size,
        augment,
        config.seed,
        config.data.workers,
        config.training.balance,
        config.training.max_repeats,
    )
    attributes = learnt_attributes(config, data)
    if config.report and run_folder.is_first_rank():
        write_augmented_page(folder / FIGURES, data.images("train"))
    phases = phases_to_run(config)
    network = starting_network(config, folder, phases)
    config = with_precision(config, network, folder)
    for phase, following in itertools.zip_longest(phases, phases[1:]):
        result = phase_result(folder, phase)
        if result.exists():
            log.info("%s: finished before, taken from %s", phase, result)
            load_best(network, folder, phase)
        else:
            learnt = attribute_loss(attributes, phase, data, network, config.words.loss)
            outcome = run_phase(phase, config, network, data, folder, loggers, following, learnt)
            if run_folder.is_first_rank():
                with replacing(phase_history(folder, phase)) as beside:
                    outcome.history.to_csv(beside, index=False)
                write_json(result, outcome.summary)
        run_folder.wait_for(result)
    if not run_folder.is_first_rank():
        return {}
    records = {
        phase: read_json(phase_result(folder, phase)) | best_epoch(pd.read_csv(phase_history(folder, phase)))
        for phase in phases
    }

    def losses(phase: str) -> Tensor:
        logits = _phase_logits(folder, phase, network, data, config)["val"]
        return image_losses(logits, data.labels("val"), config.training.label_smoothing)

    kept = kept_phase(records, losses)
    for phase in phases:
        if phase != kept:
            logits = _phase_logits(folder, phase, network, data, config)
            records[phase]["sets"] = {
                name: logits_metrics(one, data.labels(name), data.classes) for name, one in logits.items()
            }
    load_best(network, folder, kept)
    final = final_model(config, network, augment, data, folds and folds.outputs, attributes, unknown)
    write_logits(final_logits(folder), {name: one.outputs.logits for name, one in final.seen.items()})
    save_model(final.predictor, folder / MODEL, _provenance(config, records, kept, manifest, final))
    if not config.cache_keep:
        data.delete_caches()
        shutil.rmtree(folder / CACHE, ignore_errors=True)  # of an interrupted part
    results = run_results(folder, phases, kept, manifest, final)
    metrics = _metrics(config, records, kept, manifest, results, final)
    if folds is not None:
        metrics[CROSS_VALIDATION] = folds.record
        of_tests = int(used_rows(manifest)["split"].str.startswith("test").sum())
        write_out_of_fold(folder, folds, final.predictor, config.data.classes, of_tests)
    write_json(folder / METRICS, metrics)
    write_predictions(folder / PREDICTIONS, results, config.data.classes, final.predictor.attributes)
    write_results_page(folder, metrics)
    if config.report:
        write_training_curves(folder, phases)
        title = f"{config.name}, seed {config.seed}"
        write_run_report(folder, title, kept, final.predictor, results, metrics.get(CROSS_VALIDATION))
    return metrics


def objective(metrics: dict[str, Any]) -> float:
    """What a sweep compares: the model's macro-F1 on the validation images, never on a test set.

    NaN in a process that measured nothing.
    """
    if not metrics:
        return math.nan
    return final_sets(metrics)["val"]["macro_f1"]


def _augment(config: Config) -> Augment:
    try:
        return Augment(instantiate(config.augment.transforms, _convert_="all"))
    except (TypeError, ValueError, InstantiationException) as error:
        raise ConfigError(f"augment.transforms cannot be built: {error}") from error


def _phase_logits(
    folder: Path, phase: str, network: Network, data: ImageData, config: Config
) -> dict[str, Tensor]:
    """The logits of each set by a phase's best epoch, which are kept for the report.

    `network` takes on the weights of that epoch: a second one beside it would be the run's peak of memory.
    """
    file = phase_logits(folder, phase)
    if not file.exists():
        load_best(network, folder, phase)
        seen = measured_outputs(Predictor(network), data, config)
        write_logits(file, {name: one.outputs.network_logits for name, one in seen.items()})
    return read_logits(file)


def _provenance(
    config: Config,
    records: Mapping[str, Mapping[str, Any]],
    kept: str,
    manifest: pd.DataFrame,
    final: FinalModel,
) -> dict[str, Any]:
    """How the model came about, as model.ckpt tells it."""
    told = ("val_loss", "val_accuracy", "val_macro_f1", "epochs", "may_gain_more", "linear_classifier")
    return {
        "config": config.as_plain(),
        "versions": run_folder.versions(),
        "phase": kept,
        "kept_because": RULE,
        "phases": list(records),
        "validation": {
            phase: {name: record[name] for name in told if name in record}
            for phase, record in records.items()
        },
        "images": image_counts(manifest),
        "unknown": final.unknown,
    }


def _metrics(
    config: Config,
    records: dict[str, dict[str, Any]],
    kept: str,
    manifest: pd.DataFrame,
    results: Sequence[SetResult],
    final: FinalModel,
) -> dict[str, Any]:
    """The content of metrics.json."""
    answered = {result.name: result.metrics(PHASE_TITLES[kept]) for result in results}
    alone = answered
    if final.predictor.answered_by:
        alone = {
            result.name: logits_metrics(
                final.seen[result.name].outputs.network_logits, result.labels, result.classes
            )
            for result in results
        }
    records[kept]["sets"] = alone
    metrics = {
        "name": config.name,
        "seed": config.seed,
        "classes": list(config.data.classes),
        "macro_averages": "over the classes that occur in the set",
        "left_out": int((manifest["excluded"] != "").sum()),
        "phases": records,
        "kept": {"phase": kept, "because": RULE},
    }
    if final.predictor.answered_by:
        metrics[FINAL_MODEL] = {"of": final.predictor.answered_by, "sets": answered}
    if final.words:
        metrics[WORDS] = final.words
    if final.unknown is not None:
        metrics["unknown"] = final.unknown
    return metrics
