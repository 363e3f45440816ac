"""Which models a model was made from: what they were trained on, it has seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wbc.answers.checkpoint import load_provenance
from wbc.errors import CheckpointError
from wbc.settings.layout import CONFIG, run_file
from wbc.settings.saved_config import read_config


def origins(checkpoint: Path) -> list[Path]:
    """The checkpoints that `checkpoint` comes from, by adapt.py or by init_from, nearest first.

    One that is gone, or cannot be read, stands in the list too, but leads no further.
    """
    found: list[Path] = []
    waiting = [checkpoint]
    while waiting:
        for one in _parents(waiting.pop(0)):
            if one != checkpoint and one not in found:
                found.append(one)
                waiting.append(one)
    return found


def adapted_from(provenance: Mapping[str, Any]) -> Iterator[Path]:
    """The models that adapt.py was given, the last one first."""
    made = provenance.get("adapted")
    while made is not None:
        yield Path(made["from"])
        made = made.get("before")


def _parents(checkpoint: Path) -> list[Path]:
    try:
        provenance = load_provenance(checkpoint)
    except CheckpointError:
        return []
    config = provenance.get("config") or _run_config(checkpoint)
    start = config.get("init_from")
    return [*adapted_from(provenance), *([Path(start)] if start else [])]


def _run_config(checkpoint: Path) -> dict[str, Any]:
    """The settings beside a training checkpoint, which tells nothing of itself; {} where there are none."""
    file = run_file(checkpoint, CONFIG)
    try:
        return {} if file is None else read_config(file, trusted=True)  # nothing is built of it
    except CheckpointError:
        return {}
