"""The images that a model was made from, as far as its file and the manifest beside it tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wbc.answers.origins import adapted_from
from wbc.answers.rule import AnswerRule
from wbc.datasets.find_images import run_manifest
from wbc.datasets.manifest import image_counts


def training_counts(checkpoint: Path, provenance: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Images of the run that trained the model, as `image_counts`; None where nothing tells of them."""
    counts: Mapping[str, Any] | None = provenance.get("images")
    if counts is not None:
        return counts
    *_, trained = (checkpoint, *adapted_from(provenance))  # beside an adapted one lie the cells it was given
    manifest = run_manifest(trained)
    return None if manifest is None else image_counts(manifest)


def fitted_on(rule: AnswerRule, provenance: Mapping[str, Any]) -> str:
    """The images that the rule of answers was fitted on, in words."""
    if "adapted" in provenance:
        return f"{rule.images:,} cells of the lab that it was adapted to"
    if rule.folds:
        return f"{rule.images:,} training and validation images of its own run ({rule.folds} folds)"
    return f"{rule.images:,} validation images of its own run"
