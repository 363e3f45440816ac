"""What made a model, as rows of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_UNTOLD = (
    "logger",
    "resume_from",
    "cache_dir",
    "cache_limit_gb",
    "cache_keep",
    "report",
)  # change no result
_UNTOLD_OF_DATA = ("checks_dir", "workers", "drawn_dir")
_SYNTHETIC_ONLY = ("images_per_class", "train_labs", "unseen_labs")


def phases_that_ran(provenance: Mapping[str, Any]) -> list[str]:
    """The phases that trained a model; of older files, which do not tell, those that were asked for."""
    return list(provenance.get("phases") or provenance["config"]["phase"]["run"])


def settings_rows(provenance: Mapping[str, Any]) -> list[list[str]]:
    """The settings of a training run as dotted keys and values, without those that change no result, and
    of the phases that ran alone.

    provenance: of the model that it made, with its `config`.
    """
    told = {key: value for key, value in provenance["config"].items() if key not in _UNTOLD}
    is_synthetic = told["data"]["source"] == "synthetic"
    untold = _UNTOLD_OF_DATA + (() if is_synthetic else _SYNTHETIC_ONLY)
    if not is_synthetic and not told["data"].get("drawn_per_class"):
        untold += ("synthetic_seed",)
    told["data"] = {key: value for key, value in told["data"].items() if key not in untold}
    told["trainer"] = {key: value for key, value in told.get("trainer", {}).items() if key == "precision"}
    ran = phases_that_ran(provenance)
    told["phase"] = {"run": ran} | {phase: told["phase"][phase] for phase in ran}
    return [[key, value] for key, value in _flat(told)]


def _flat(value: Any, key: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted keys; what is null or empty is not told."""
    if isinstance(value, dict):
        return [row for name, part in value.items() for row in _flat(part, f"{key}.{name}" if key else name)]
    if value in (None, [], ""):
        return []
    if isinstance(value, list) and all(isinstance(part, dict) and "_target_" in part for part in value):
        return [(key, "; ".join(map(_call, value)))]
    return [(key, value if isinstance(value, str) else json.dumps(value))]


def _call(target: Mapping[str, Any]) -> str:
    """An object of the settings as it would be written in Python."""
    arguments = ", ".join(f"{name}={value}" for name, value in target.items() if name != "_target_")
    return f"{target['_target_'].rpartition('.')[2]}({arguments})"


def version_rows(versions: Mapping[str, Any]) -> list[list[str]]:
    """What `wbc.settings.run_folder.versions` found, as names and releases."""
    rows = [["python", versions["python"]], ["platform", versions["platform"]]]
    rows += [[name, release] for name, release in versions["packages"].items() if release]
    if git := versions.get("git"):
        rows.append(["commit", git["commit"] + (", with changes" if git["changed"] else "")])
    return rows
