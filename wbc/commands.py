"""The commands: what each is for, its settings, how its run folder is opened, and its job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from wbc.errors import ConfigError
from wbc.settings import run_folder
from wbc.settings.adapt import AdaptConfig
from wbc.settings.command import Command
from wbc.settings.evaluate import EvaluateConfig
from wbc.settings.explain import ExplainConfig
from wbc.settings.export import ExportConfig
from wbc.settings.layout import DECISIONS, ERRORS, EXPORTED, MANIFEST, METRICS, MODEL, SOURCES
from wbc.settings.parse import parse_as
from wbc.settings.predict import PredictConfig
from wbc.settings.review import ReviewConfig
from wbc.settings.serve import ServeConfig
from wbc.settings.train import Config, parse


def _open_training(composed: DictConfig) -> tuple[Config, Path]:
    folder = _output_folder()
    if composed.resume_from is not None:
        _refuse_others(
            ", or start a new run, from its weights if you like: init_from=<run folder>/model.ckpt"
        )
        config = run_folder.saved_config(folder, Config, bool(composed.trust))
        _check_started(config)
        return config, folder
    named = any(override.startswith("hydra.run.dir=") for override in HydraConfig.get().overrides.hydra)
    if not named and run_folder.processes_started_outside() > 1:
        raise ConfigError(
            "several processes were started from outside: name one folder, hydra.run.dir=<folder>"
        )
    config = parse(composed).with_absolute_paths()
    _check_started(config)
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        for key in ("devices", "num_nodes"):
            if config.trainer.get(key, 1) not in (1, "1"):
                raise ConfigError(f"a sweep runs each job in one process: give trainer.{key}=1")
    run_folder.start(config, folder)
    return config, folder


def _check_started(config: Config) -> None:
    devices, nodes = (config.trainer.get(key, 1) for key in ("devices", "num_nodes"))
    if isinstance(devices, int) and devices > 0:  # auto, all or a list: Lightning counts them
        run_folder.check_started(devices, nodes, "trainer.", "trainer=ddp with ")


def _open_explanation(composed: DictConfig) -> tuple[ExplainConfig, Path]:
    folder = _output_folder()
    if composed.resume_from is not None:
        _refuse_others("")
        return run_folder.saved_config(folder, ExplainConfig), folder
    config = parse_as(ExplainConfig, composed).with_absolute_paths()
    run_folder.start(config, folder, "images.csv")
    return config, folder


def _open_evaluation(composed: DictConfig) -> tuple[EvaluateConfig, Path]:
    config = parse_as(EvaluateConfig, composed).with_absolute_paths()
    run_folder.start(config, _output_folder(), METRICS)
    return config, _output_folder()


def _open_adaptation(composed: DictConfig) -> tuple[AdaptConfig, Path]:
    config = parse_as(AdaptConfig, composed).with_absolute_paths()
    run_folder.start(config, _output_folder(), MODEL)
    return config, _output_folder()


def _open_export(composed: DictConfig) -> tuple[ExportConfig, Path]:
    config = parse_as(ExportConfig, composed).with_absolute_paths()
    run_folder.start(config, _output_folder(), EXPORTED)
    return config, _output_folder()


def _open_prediction(composed: DictConfig) -> tuple[PredictConfig, Path]:
    """The settings, which a run that lies in the output folder already must have too."""
    config = parse_as(PredictConfig, composed).with_absolute_paths()
    if config.output is None and run_folder.processes_started_outside() > 1:
        raise ConfigError("several processes were started from outside: name one folder, output=<folder>")
    folder = _output_folder()
    config = replace(config, output=str(folder))
    if not (folder / SOURCES).exists():  # nothing was answered yet
        run_folder.start(config, folder)
        return config, folder
    before = run_folder.saved_config(folder, PredictConfig)
    for key in ("checkpoint", "images", "table", "group", "fields", "overlap", "batch_size"):
        if getattr(config, key) != getattr(before, key):
            raise ConfigError(
                f"{folder} holds a run with {key}={getattr(before, key)}, not {getattr(config, key)}: "
                "give the same settings to go on with it, or another output"
            )
    return config, folder


def _open_review(composed: DictConfig) -> tuple[ReviewConfig, Path]:
    """The settings of this time; decisions that lie there already are gone on with."""
    config = parse_as(ReviewConfig, composed).with_absolute_paths()
    folder = _output_folder()
    config = replace(config, output=str(folder))
    if not (folder / DECISIONS).exists():
        run_folder.start(config, folder)
    return config, folder


def _open_service(composed: DictConfig) -> tuple[ServeConfig, Path]:
    config = parse_as(ServeConfig, composed).with_absolute_paths()
    run_folder.start(config, _output_folder())
    return config, _output_folder()


def _output_folder() -> Path:
    return Path(HydraConfig.get().runtime.output_dir)


def _refuse_others(instead: str) -> None:
    """ConfigError where a run is to be continued and settings are given beside that."""
    typed = HydraConfig.get().overrides.task
    others = [one for one in typed if not one.startswith(("resume_from=", "trust="))]
    if others:
        raise ConfigError(
            f"resume_from continues a run with its own settings: leave out {' '.join(others)}{instead}"
        )


# The jobs import torch, which takes seconds; a wrong setting should not wait for it.


def _train() -> Callable[[Config, Path], float]:
    from wbc.training.job import objective, train

    return lambda config, folder: objective(train(config, folder))


def _evaluate() -> Callable[[EvaluateConfig, Path], int]:
    from wbc.evaluating.job import evaluate

    return evaluate


def _explain() -> Callable[[ExplainConfig, Path], int]:
    from wbc.explaining.job import explain

    return explain


def _predict() -> Callable[[PredictConfig, Path], int]:
    from wbc.predicting.job import predict

    return predict


def _review() -> Callable[[ReviewConfig, Path], None]:
    from wbc.reviewing.job import review

    return review


def _serve() -> Callable[[ServeConfig, Path], None]:
    from wbc.serving.job import serve

    return serve


def _adapt() -> Callable[[AdaptConfig, Path], int]:
    from wbc.adapting.job import adapt

    return adapt


def _export() -> Callable[[ExportConfig, Path], int]:
    from wbc.exporting.job import export

    return export


_COMMANDS: list[Command[Any]] = [
    Command(
        verb="train",
        wish="make a classifier from labelled images of cells, or of drawn ones to try things",
        kind=Config,
        open_run=_open_training,
        job=_train,
        first_keys=("experiment", "data", "data.root", "model", "phase"),
        stopped="stopped; continue with: {again}",
        failed="{error}, then continue with: {again}",
    ),
    Command(
        verb="evaluate",
        wish="measure a model on labelled images, of other labs too, or compare models",
        kind=EvaluateConfig,
        open_run=_open_evaluation,
        job=_evaluate,
        first_keys=("checkpoint", "data", "compare", "in_lab", "device"),
        stopped="stopped, and nothing was measured; give the same command again",
        failed="{error}, then give the same command again",
        unreadable=ERRORS,
    ),
    Command(
        verb="explain",
        wish="see which parts of a cell decide, as heat maps, and how far to trust them",
        kind=ExplainConfig,
        open_run=_open_explanation,
        job=_explain,
        first_keys=("checkpoint", "images", "methods", "target", "measure"),
        stopped="stopped; continue with: {again}",
        failed="{error}, then continue with: {again}",
        unreadable="explanations.csv",
    ),
    Command(
        verb="predict",
        wish="sort a folder of cells, or the cells of photographs: class, doubt, the differential",
        kind=PredictConfig,
        open_run=_open_prediction,
        job=_predict,
        first_keys=("checkpoint", "images", "output", "fields", "group"),
        stopped="stopped; the same command with {output} goes on where it stopped",
        other_folder="another output=",
        failed="{error}, then give the same command again with {output} to go on",
        unreadable=ERRORS,
    ),
    Command(
        verb="review",
        wish="look through the predictions on a page, doubtful ones first, and put them right",
        kind=ReviewConfig,
        open_run=_open_review,
        job=_review,
        first_keys=("predictions", "output", "reviewer", "host", "port"),
        stopped="stopped; every decision is kept, and the same command with {output} goes on",
        other_folder="another output=",
        failed="{error}, then give the same command again with {output} to go on",
    ),
    Command(
        verb="serve",
        wish="answer pictures that programs and people send: an HTTP service and a page",
        kind=ServeConfig,
        open_run=_open_service,
        job=_serve,
        first_keys=("checkpoint", "host", "port", "queue", "upload_mb"),
        stopped="stopped; what waited was answered, and the same command serves again",
        failed="{error}, then give the same command again",
    ),
    Command(
        verb="adapt",
        wish="refit a model to another lab by a few labelled cells of it",
        kind=AdaptConfig,
        open_run=_open_adaptation,
        job=_adapt,
        first_keys=("checkpoint", "data", "per_class", "measure_rest", "abstain.max_error"),
        stopped="stopped, and no model written; give the same command again",
        failed="{error}, then give the same command again",
        unreadable=f"{{folder}}/{MANIFEST}",
    ),
    Command(
        verb="export",
        wish="make of a model a folder that answers alike without wbc: ONNX, OpenVINO or torch",
        kind=ExportConfig,
        open_run=_open_export,
        job=_export,
        first_keys=("checkpoint", "format", "images", "compared", "seed"),
        stopped="stopped, and nothing exported; give the same command again",
        failed="{error}, then give the same command again",
        unreadable="{folder}/export.log",
    ),
]
COMMANDS = {command.verb: command for command in _COMMANDS}
