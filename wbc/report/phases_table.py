"""What the phases of a training reached on its validation images, and why the model is of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wbc.settings.layout import PHASE_TITLES
from wbc.utils.text_tables import percent


def phases_table(provenance: Mapping[str, Any]) -> tuple[list[str], list[list[str]]] | None:
    """Header and rows, by the validation images; None where the file does not tell."""
    phases: Mapping[str, Mapping[str, Any]] = provenance.get("validation", {})
    if not phases:
        return None
    rows = []
    if linear := next(iter(phases.values())).get("linear_classifier"):
        rows.append(["a linear classifier of the features before", "", "", percent(linear["macro_f1"])])
    for phase, record in phases.items():
        figures = [str(record["epochs"]), f"{record['val_loss']:.3f}", percent(record["val_macro_f1"])]
        rows.append([f"the network {PHASE_TITLES[phase]}", *figures])
    return ["on the validation images", "epochs", "loss", "macro F1"], rows


def why_kept(provenance: Mapping[str, Any]) -> str:
    """Which phase the model is of, and by what rule; "" of one phase, or where the file does not tell."""
    if len(provenance.get("validation", {})) < 2 or "kept_because" not in provenance:
        return ""
    title, rule = PHASE_TITLES[provenance["phase"]], provenance["kept_because"]
    return f"The model is the one {title}. Of the phases the run keeps {rule}."
