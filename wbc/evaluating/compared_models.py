"""The models of one evaluation: loaded, named, and seen to answer in the same classes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from wbc.answers.checkpoint import load_model
from wbc.answers.predictor import Predictor
from wbc.errors import ConfigError
from wbc.settings.layout import MODEL, PHASE_TITLES
from wbc.utils.short_names import short_names

log = logging.getLogger(__name__)


def load_models(paths: Sequence[str], device: torch.device) -> dict[str, Predictor]:
    """Name -> model, in the order of `paths`, whose last is the one that is reported in full.

    Raises CheckpointError for files that are none, ConfigError for models of different classes.
    """
    models: dict[str, Predictor] = {}
    for name, path in zip(model_names(list(map(Path, paths))), paths, strict=True):
        models[name] = load_model(path).to(device)
    last = next(reversed(models))
    classes = models[last].classes
    for name, model in models.items():
        if model.classes != classes:
            raise ConfigError(
                f"{name} answers {', '.join(model.classes)}, but {last} answers {', '.join(classes)}: models "
                "are compared in the same classes and order"
            )
    if models[last].rule is None:
        log.warning(
            "%s has no rule of answers, as checkpoints of a training have none: nothing is said of "
            "calibration and abstention; model.ckpt of the run folder has one",
            paths[-1],
        )
    return models


def model_names(paths: Sequence[Path]) -> list[str]:
    """For the two phases of one run "without fine-tuning" and "with fine-tuning", else short paths."""
    phases = [_phase(path) for path in paths]
    if {run for run, _ in phases} == {phases[0][0]} and sorted(phase for _, phase in phases) == [
        "finetune",
        "head",
    ]:
        return [PHASE_TITLES[phase] for _, phase in phases]
    return short_names(paths, vague=(MODEL, "best.ckpt", "last.ckpt"))


def _phase(path: Path) -> tuple[Path, str]:
    """The run folder and the phase that made the checkpoint, "" where the place does not tell."""
    if path.parent.parent.name == "checkpoints":
        return path.parents[2], path.parent.name
    has_both = path.name == MODEL and (path.parent / "checkpoints" / "finetune").is_dir()
    return path.parent, "finetune" if has_both else ""
