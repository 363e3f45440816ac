"""What to know of a model by how its training went: a phase that did not help, too little, too short."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from wbc.settings.layout import PHASE_TITLES
from wbc.utils.text_tables import percent

_STANDARD_ERRORS = 2.0  # of a difference, which chance hardly gives


def training_caveats(provenance: Mapping[str, Any]) -> Iterator[str]:
    """A sentence or two each; none where all went well, or where the file does not tell.

    provenance: of model.ckpt, with `validation`: by phase the figures of its best epoch on validation images.
    """
    phases: Mapping[str, Mapping[str, Any]] = provenance.get("validation", {})
    kept: str = provenance.get("phase", "")
    if kept not in phases:
        return
    score, last = phases[kept]["val_macro_f1"], list(phases)[-1]
    first = next(iter(phases))
    losses, scores = (
        [phases[phase][name] for phase in (first, last)] for name in ("val_loss", "val_macro_f1")
    )
    figures = (
        f"on the validation images the loss was {losses[0]:.2f} without it and {losses[1]:.2f} with it, "
        f"macro F1 {percent(scores[0])} and {percent(scores[1])}. The model is the one {PHASE_TITLES[kept]}"
    )
    if kept != last:
        yield f"Fine-tuning did not help: {figures}."
    elif losses[0] < losses[1]:
        yield (
            f"Whether fine-tuning helped cannot be told by so few images: {figures}, because a difference as "
            "small may be chance and fine-tuning mostly helps."
        )
    linear = phases[first].get("linear_classifier")
    if linear is not None and linear["macro_f1"] > score:
        count = sum((provenance.get("images") or {}).get("splits", {}).get("val", {}).values())
        is_chance = _may_be_chance(linear["macro_f1"], score, count)
        yield (
            f"Training {'may have done' if is_chance else 'did'} less than it could: on the validation "
            "images a linear classifier of the features that it started with reaches a macro F1 of "
            f"{percent(linear['macro_f1'])}, and the model {percent(score)}"
            f"{f'; of {count:,} images that may be chance' if is_chance else ''}."
        )
    if phases[kept].get("may_gain_more"):
        epochs = phases[kept]["epochs"]
        yield (
            f"Training may have ended too early: it was still gaining in the last of {epochs} epochs. Try "
            f"phase.{kept}.max_epochs={2 * epochs}."
        )


def _may_be_chance(one: float, other: float, images: int) -> bool:
    """Whether two shares of so many images differ by no more than independent samples of one share may."""
    return images > 0 and abs(one - other) <= _STANDARD_ERRORS * math.sqrt(
        (one * (1 - one) + other * (1 - other)) / images
    )
