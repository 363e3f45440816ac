"""White blood cells from stained smears: trained, measured, explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wbc.answers.predictor import Predictor

__all__ = ["load"]


def load(path: str | Path) -> Predictor:
    """The predictor in a run's `model.ckpt`: `wbc.load(path).predict(["cell.png"])`."""
    from wbc.answers.checkpoint import load_model  # torch takes seconds to import; image checks need none

    return load_model(path)
