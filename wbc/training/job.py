"""The main job: from settings to a tested model with its figures, in one run folder."""

from __future__ import annotations

import itertools
import logging
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pytorch_lightning import seed_everything

from wbc.answers.averaged_views import AveragedViews
from wbc.answers.checkpoint import load_network, save_model
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.datasets.manifest import build_manifest, image_counts, read_manifest, write_manifest
from wbc.datasets.synthetic_extra import drawn_cells, with_drawn_cells
from wbc.errors import ConfigError
from wbc.images.prepare import Prepare
from wbc.loading.augment import Augment
from wbc.loading.datamodule import CellData
from wbc.loading.epoch_sampler import View
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.network.pretrained import load_pretrained
from wbc.settings import run_folder
from wbc.settings.run_folder import ANSWERS, best_checkpoint, log_folder
from wbc.settings.train import Config, DataConfig
from wbc.synthetic.dataset import write_dataset
from wbc.training.fit_second_opinion import fit_second_opinion
from wbc.training.phases import PhaseOutcome, run_phase
from wbc.training.precision import faster_precision, forward_ms, resolve_precision
from wbc.training.results import (
    final_sets,
    results_table,
    set_metrics,
    write_augmented_page,
    write_predictions,
    write_results_page,
    write_training_curves,
)
from wbc.training.run_report import REPORT, final_outputs, output_metrics, write_run_report
from wbc.utils.durations import in_words
from wbc.utils.files import read_json, write_json, write_text
from wbc.utils.progress import progress

log = logging.getLogger(__name__)


def train(config: Config, folder: Path) -> dict[str, Any]:
    """Run all phases of `config` in `folder` and return the content of its metrics.json.

    A folder that holds an interrupted run of the same settings is continued: finished phases are not
    repeated, an unfinished one goes on after its last whole epoch.  Raises WbcError with the mend for input
    that cannot be used, before anything is trained.
    """
    seed_everything(config.seed, workers=True, verbose=False)
    augment = _augment(config)
    manifest = _manifest(config, folder)
    data = CellData(
        manifest,
        config.data.classes,
        Prepare(config.model.image_size_px, config.model.standardise, config.model.size_strength),
        config.training.batch_size,
        augment,
        config.seed,
        config.data.workers,
        config.training.balance,
        config.training.max_repeats,
    )
    if run_folder.is_first_rank():
        write_augmented_page(folder / "figures", data.cells("train"))
    phases = _phases_to_run(config)
    network = _starting_network(config, folder, phases, augment)
    config = _with_precision(config, network, folder)
    records: dict[str, Any] = {}
    for phase in phases:
        result = log_folder(folder, phase) / "result.json"
        if result.exists():
            log.info("%s: finished before, taken from %s", phase, result)
            network = load_network(best_checkpoint(folder, phase))
        else:
            following = dict(itertools.pairwise(phases)).get(phase)
            outcome = run_phase(phase, config, network, data, folder, following)
            if run_folder.is_first_rank():
                _write_phase(folder, phase, outcome, data)
        run_folder.wait_for(result)
        records[phase] = read_json(result)
    if run_folder.is_first_rank():
        predictor, val = _write_model(folder, config, network, data, manifest)
        outputs = final_outputs(predictor, manifest, data) if config.report or network.answered_by else {}
    if not config.cache_keep:
        data.delete_caches()
        shutil.rmtree(folder / "cache", ignore_errors=True)  # of an interrupted part
    metrics = {
        "name": config.name,
        "seed": config.seed,
        "classes": config.data.classes,
        "macro_averages": "over the classes that occur in the set",
        "left_out": int((manifest["excluded"] != "").sum()),
        "phases": records,
    }
    if run_folder.is_first_rank():
        if network.answered_by:
            sets = {"val": val} | output_metrics(manifest, outputs, data.classes)
            metrics[ANSWERS] = {"of": network.answered_by, "sets": sets}
        _write_run(folder, metrics)
        if config.report:
            title = f"{config.name}, seed {config.seed}"
            write_run_report(folder, title, list(records), predictor, manifest, data, outputs)
            log.info("report: %s; model, metrics and predictions lie beside it", folder / REPORT)
    return metrics


def objective(metrics: dict[str, Any]) -> float:
    """What a sweep compares: the model's macro-F1 on the validation images, never on a test set."""
    return final_sets(metrics)["val"]["macro_f1"]


def _augment(config: Config) -> Augment:
    try:
        return Augment(instantiate(config.augment.transforms, _convert_="all"))
    except (TypeError, ValueError, InstantiationException) as error:
        raise ConfigError(f"augment.transforms cannot be built: {error}") from error


def _manifest(config: Config, folder: Path) -> pd.DataFrame:
    """The run's table of images: read where it is written already, else made by the first rank."""
    path = folder / run_folder.MANIFEST
    if run_folder.is_first_rank():
        size_px = config.model.image_size_px
        # Also where there is a manifest: its drawn cells may have been deleted since.
        cells = drawn_cells(config.data, size_px) if config.data.drawn_per_class else None
        if not path.exists():
            manifest = build_manifest(_drawn(config.data, size_px), config.seed)
            write_manifest(manifest if cells is None else with_drawn_cells(manifest, cells), path)
    run_folder.wait_for(path)
    return read_manifest(path)


def _drawn(data: DataConfig, image_size_px: int) -> DataConfig:
    """Synthetic smears are drawn to disk first and then read like anybody's table."""
    if data.source != "synthetic":
        return data
    table = write_dataset(
        Path(data.root),
        data.images_per_class,
        data.train_labs,
        data.unseen_labs,
        data.synthetic_seed,
        image_size_px,
        data.workers,
    )
    return DataConfig(**{**vars(data), "source": "manifest", "root": str(table)})


def _with_precision(config: Config, network: Network, folder: Path) -> Config:
    """`config` with the precision that `auto` stands for; measured once, so that a resumed run keeps it."""
    trainer = config.trainer
    accelerator = trainer.get("accelerator", "auto")
    precision = resolve_precision(trainer.get("precision", "auto"), accelerator)
    on_cpu = accelerator == "cpu" or not torch.cuda.is_available()
    if on_cpu and precision == "bf16-mixed" and trainer.get("precision", "auto") == "auto":
        file = folder / "precision.json"
        if run_folder.is_first_rank() and not file.exists():
            milliseconds = forward_ms(network)
            chosen = faster_precision(milliseconds)
            log.info("precision %s, the faster one here: an image takes %s", chosen, _each(milliseconds))
            write_json(file, {"precision": chosen, "forward_ms_per_image": milliseconds})
        run_folder.wait_for(file)
        precision = read_json(file)["precision"]
    return replace(config, trainer={**trainer, "precision": precision})


def _each(milliseconds: dict[str, float]) -> str:
    return ", ".join(f"{in_words(value / 1000)} in {name}" for name, value in milliseconds.items())


def _phases_to_run(config: Config) -> list[str]:
    if config.init_from is not None and "finetune" in config.phase.run:
        return ["finetune"]  # the head comes trained
    return config.phase.run


def _starting_network(config: Config, folder: Path, phases: list[str], augment: Augment) -> Network:
    """The network that the first phase starts from, or on a resumed run, any of its states.

    A resumed run needs neither the weights nor the file it started from: its checkpoints hold everything.
    """
    for phase in reversed(phases):
        last = best_checkpoint(folder, phase).with_name("last.ckpt")
        if last.exists():
            return load_network(last)
    model = config.model
    backbone = Backbone(model.backbone, model.image_size_px, model.drop_path_rate)
    network = Network(
        backbone,
        config.data.classes,
        model.head_units,
        model.dropout,
        model.standardise,
        model.size_strength,
    )
    chain = augment.state() if model.test_time.draws else None
    network.test_time = AveragedViews(**vars(model.test_time), augment=chain)
    if config.init_from is None:
        load_pretrained(backbone, model.weights)
        return network
    found = load_network(config.init_from)
    asked = {
        "model.backbone": (found.backbone.name, model.backbone),
        "model.image_size_px": (found.image_size_px, model.image_size_px),
        "data.classes": (found.classes, config.data.classes),
        "model.head_units": (found.head_units, model.head_units),
        "model.standardise": (list(found.prepare.standardise), sorted(model.standardise)),
    }
    if "size" in model.standardise:  # else it says nothing
        asked["model.size_strength"] = (found.prepare.size_strength, model.size_strength)
    for key, (has, wanted) in asked.items():
        if has != wanted:
            raise ConfigError(
                f"init_from={config.init_from} has {key}={has}, but {wanted} is asked for: give the same "
                "model and classes as the run that it comes from"
            )
    network.load_state_dict(found.state_dict())
    network.mean, network.std = found.mean, found.std
    return network


def _write_phase(folder: Path, phase: str, outcome: PhaseOutcome, data: CellData) -> None:
    """Everything a phase found; result.json last, for it marks the phase as finished."""
    logs = log_folder(folder, phase)
    rows = {name: data.rows[name] for name in outcome.logits}
    write_predictions(logs / "predictions.csv", rows, outcome.logits, data.classes)
    sets = {name: set_metrics(rows[name], logits, data.classes) for name, logits in outcome.logits.items()}
    outcome.history.to_csv(logs / "history.csv", index=False)
    write_json(logs / "result.json", outcome.summary | {"sets": sets})


def _write_model(
    folder: Path, config: Config, network: Network, data: CellData, manifest: pd.DataFrame
) -> tuple[Predictor, dict[str, Any]]:
    """The final network, and the rule of its answers by the validation images; the metrics of these."""
    if config.model.second_opinion:
        network.second_opinion = fit_second_opinion(
            data.cells("train"), config.model.second_opinion, data.workers, config.seed
        )
    predictor, cells = Predictor(network), data.cells("val")
    outputs = []
    for start in progress(range(0, len(cells), config.training.batch_size), "fitting the answers", "batch"):
        indices = range(start, min(start + config.training.batch_size, len(cells)))
        outputs.append(predictor.outputs(torch.stack([cells[View(index, 0)].images for index in indices])))
    features, logits = (torch.cat(parts) for parts in zip(*outputs, strict=True))
    rule = fit_rule(features, logits, torch.tensor(cells.labels), config.abstain)
    if math.isfinite(rule.threshold):  # else a warning has said that and why nothing is answered
        log.info(
            "answers: where the class has a calibrated probability of %.1f %% or more (temperature %.2f)",
            *(100 * rule.threshold, rule.temperature),
        )
    if network.answered_by:
        log.info("answers come from %s", network.answered_by)
    provenance = {
        "config": config.as_plain(),
        "versions": run_folder.versions(),
        "phase": _phases_to_run(config)[-1],
        "phases": _phases_to_run(config),
        "images": image_counts(manifest),
    }
    save_model(network, folder / run_folder.MODEL, provenance, rule)
    return Predictor(network, rule), set_metrics(data.rows["val"], logits, data.classes)


def _write_run(folder: Path, metrics: dict[str, Any]) -> None:
    phases = list(metrics["phases"])
    write_json(folder / run_folder.METRICS, metrics)
    predictions = log_folder(folder, phases[-1]) / "predictions.csv"
    write_text(folder / "predictions.csv", predictions.read_text(encoding="utf-8"))
    history = pd.concat([pd.read_csv(log_folder(folder, phase) / "history.csv") for phase in phases])
    write_training_curves(folder / "figures", history)
    table = results_table(metrics)
    write_results_page(folder, f"{metrics['name']}, seed {metrics['seed']}", table)
    log.info("results\n\n%s\n", table)
    log.info("tables: %s; model, metrics and predictions lie beside it", folder / "results.md")
