"""White blood cells from stained smears: trained, measured, explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wbc.answers.predictor import Predictor

__all__ = ["load"]


def load(path: str | Path, device: str = "cpu") -> Predictor:
    """The predictor in a run's `model.ckpt`: `wbc.load(path).predict(["cell.png"])`.

    device: where it computes: cpu, cuda, or auto, which takes CUDA where there is one.
    Raises CheckpointError for a file that is no model, ConfigError for a device that is not there.
    """
    from wbc.answers.checkpoint import load_model  # torch takes seconds to import; image checks need none
    from wbc.network.device import chosen_device

    return load_model(path).to(chosen_device(device))
