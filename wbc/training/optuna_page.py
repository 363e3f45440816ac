"""What a search by Optuna leaves: the sweep's page with its figures, and the best settings as a preset."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import yaml
from hydra.core.override_parser.types import Override
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from wbc.pages.figure_style import save_figure
from wbc.pages.html import Section, picture
from wbc.settings.conf_folder import conf_folder
from wbc.settings.quoting import in_shell
from wbc.training.search_figures import importance_figure, parallel_figure, progress_figure
from wbc.training.search_space import Space, plain
from wbc.training.sweep_report import COMPLETE, SweepJob, best_first, job_figures, write_sweep
from wbc.utils.files import write_json, write_text
from wbc.utils.text_tables import percent

PRESETS = "best"  # below the sweep's folder: what --config-dir takes
_ENDED = {TrialState.FAIL: "failed", TrialState.PRUNED: "pruned", TrialState.COMPLETE: COMPLETE}
_FEWEST = 4  # trials, for an importance to mean anything


def write_search(
    folder: Path, trials: Sequence[FrozenTrial], study: optuna.Study, space: Space, fixed: Sequence[Override]
) -> None:
    """sweep.html, sweep.md, sweep.json, figures and, once a trial has ended well, the best as a preset.

    trials: those that have ended.
    """
    if not trials:
        return
    jobs = [_job(folder, trial) for trial in trials]
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    sections = []
    if complete:
        best = max(complete, key=lambda trial: trial.value or 0.0)
        command = _write_preset(folder, best, fixed, len(trials))
        sections.append(
            Section(
                "Best settings",
                [
                    f"Trial {_name(best)}: macro F1 {percent(best.value)} of the validation images, with "
                    + ", ".join(f"{key}={_short(value)}" for key, value in best.params.items())
                    + ".",
                    f"To train with them: {command}",
                ],
            )
        )
        sections.append(Section("Search", _figures(folder, trials, study, space)))
    write_sweep(folder, jobs, sections)
    write_json(folder / "sweep.json", [asdict(job) for job in best_first(jobs)])


def _name(trial: FrozenTrial) -> str:
    """That of its folder: a trial that went on bears the one that it began with."""
    return str(trial.user_attrs.get("folder", trial.number))


def _job(folder: Path, trial: FrozenTrial) -> SweepJob:
    settings = [f"{key}={_short(value)}" for key, value in trial.params.items()]
    name = _name(trial)
    if trial.state != TrialState.COMPLETE:
        return SweepJob(int(name), settings, None, ended=_ENDED[trial.state])
    return SweepJob(int(name), settings, trial.value, job_figures(folder / name), COMPLETE)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _figures(folder: Path, trials: Sequence[FrozenTrial], study: optuna.Study, space: Space) -> list[str]:
    parts: list[str] = []

    def show(name: str, figure: Figure, what: str) -> None:
        save_figure(figure, folder / name, svg=False)
        parts.append(picture(folder / name, what))

    show("search_progress.png", progress_figure(trials), "macro F1 of each trial, and the best so far")
    of_this_space = [trial for trial in trials if trial.distributions == space]
    if any(trial.state == TrialState.COMPLETE for trial in of_this_space):
        show(
            "search_parallel.png",
            parallel_figure(of_this_space, space),
            "settings and macro F1 of each trial",
        )
    importance = _importance(trials, study)
    if importance:
        show("search_importance.png", importance_figure(importance), "importance of each setting")
        parts.append(
            "Importance is the share of the differences between trials that a setting explains, by fANOVA "
            "(Hutter 2014). By few trials it is a guess."
        )
    return parts


def _importance(trials: Sequence[FrozenTrial], study: optuna.Study) -> dict[str, float]:
    """{} where too few trials ended, or all alike."""
    values = [trial.value for trial in trials if trial.state == TrialState.COMPLETE]
    if len(values) < _FEWEST or len(set(values)) == 1:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is experimental in Optuna
        try:
            return optuna.importance.get_param_importances(
                study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
            )
        except ValueError:  # of settings that not all trials have
            return {}


def _write_preset(folder: Path, best: FrozenTrial, fixed: Sequence[Override], count: int) -> str:
    """experiment/best.yaml below PRESETS; returns the command that trains with it."""
    defaults: list[Any] = []
    values: dict[str, Any] = {}
    rest: list[str] = []
    for override in fixed:
        key, value = override.key_or_group, plain(override.value())
        if key == "experiment":
            defaults.insert(0, value)
        elif (conf_folder("train") / key).is_dir():
            defaults.append({f"override /{key}": value})
        elif override.is_add() or override.is_delete():
            rest.append(str(override.input_line))
        else:
            values[key] = value
    nested = OmegaConf.create()
    for key, value in [*values.items(), *best.params.items()]:
        OmegaConf.update(nested, key, plain(value), force_add=True)
    command = " ".join(
        [
            "wbc train --config-dir",
            str(folder / PRESETS),
            "experiment=best",
            *(in_shell(*one.split("=", 1)) for one in rest),
        ]
    )
    said = (
        f"# @package _global_\n# The best of {count} trials, number {best.number}: macro F1 "
        f"{percent(best.value)} of the validation images.\n#   {command}\n"
    )
    content = {"defaults": [*defaults, "_self_"]} | dict(OmegaConf.to_container(nested))  # type: ignore[arg-type]
    text = said + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    place = folder / PRESETS / "experiment" / "best.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    write_text(place, text)
    return command
