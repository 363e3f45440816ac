"""The models of one evaluation: loaded, named, and seen to answer in the same classes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from wbc.answers.checkpoint import load_model, load_provenance
from wbc.answers.predictor import Predictor
from wbc.errors import ConfigError
from wbc.report.set_result import SetResult
from wbc.settings.complaints import shown
from wbc.settings.layout import MODEL, PHASE_TITLES
from wbc.utils.short_names import short_names

log = logging.getLogger(__name__)

_SHOWN_SETTINGS = 3  # of more, no name is made


def load_models(paths: Sequence[str], device: torch.device, runtime: str) -> dict[str, Predictor]:
    """Name -> model, in the order of `paths`; the name has the settings in which few differ.

    Raises CheckpointError for files that are none, ConfigError for models of different classes.
    """
    models: dict[str, Predictor] = {}
    loaded = [load_model(path).to(device).by(runtime) for path in paths]
    names = model_names(list(map(Path, paths)))
    for name, settings, model in zip(names, _differing_settings(paths), loaded, strict=True):
        models[f"{name} ({settings})" if settings else name] = model
    last = next(reversed(models))
    classes = models[last].classes
    for name, model in models.items():
        if model.classes != classes:
            raise ConfigError(
                f"{name} answers {', '.join(model.classes)}, but {last} answers {', '.join(classes)}: models "
                "are compared in the same classes and order"
            )
    return models


def best_model(results: Sequence[SetResult], names: Sequence[str]) -> str:
    """The model of the highest macro F1, averaged over the sets; of equal ones the last named."""
    scores = {name: mean(result.metrics(name)["macro_f1"] for result in results) for name in names}
    best = max(reversed(names), key=scores.__getitem__)
    return best


def model_names(paths: Sequence[Path]) -> list[str]:
    """For the two phases of one run "without fine-tuning" and "with fine-tuning", else short paths."""
    phases = [_phase(path) for path in paths]
    if {run for run, _ in phases} == {phases[0][0]} and sorted(phase for _, phase in phases) == [
        "finetune",
        "head",
    ]:
        return [PHASE_TITLES[phase] for _, phase in phases]
    return short_names(paths, vague=(MODEL, "best.ckpt", "last.ckpt"))


def _differing_settings(paths: Sequence[str]) -> list[str]:
    """Of each model, "seed=1" and the like; "" where nothing is known, or more differs than helps."""
    configs = [_flat(load_provenance(path).get("config", {})) for path in paths]
    keys = sorted(
        key
        for key in set.intersection(*map(set, configs))
        if len({repr(config[key]) for config in configs}) > 1
    )
    if not 0 < len(keys) <= _SHOWN_SETTINGS:
        return [""] * len(paths)
    return [", ".join(f"{key}={shown(config[key])}" for key in keys) for config in configs]


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat


def _phase(path: Path) -> tuple[Path, str]:
    """The run folder and the phase that made the checkpoint, "" where the place does not tell."""
    if path.parent.parent.name == "checkpoints":
        return path.parents[2], path.parent.name
    has_both = path.name == MODEL and (path.parent / "checkpoints" / "finetune").is_dir()
    return path.parent, "finetune" if has_both else ""
