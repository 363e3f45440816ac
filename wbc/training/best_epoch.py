"""The weights of a phase's best epoch, which a run takes up again from its folder."""

from __future__ import annotations

from pathlib import Path

from wbc.answers.checkpoint import load_weights
from wbc.errors import CheckpointError
from wbc.network.network import Network
from wbc.settings.layout import best_checkpoint, log_folder
from wbc.settings.train import PHASES


def best_of(folder: Path, phase: str) -> Path:
    """The checkpoint of the best epoch of a phase that has begun; CheckpointError where it is not there."""
    best = best_checkpoint(folder, phase)
    if not best.is_file():
        anew = PHASES[PHASES.index(phase) :]  # a later phase began with this one's weights
        left = [
            place for one in anew for place in (best_checkpoint(folder, one).parent, log_folder(folder, one))
        ]
        names = ", ".join(str(place) for place in left if place.exists())
        raise CheckpointError(
            f"no file {best}, which phase {phase} left when it ran: put it back. To train the phase anew, "
            f"delete {names}, then continue with resume_from"
        )
    return best


def load_best(network: Network, folder: Path, phase: str) -> None:
    """Give `network` the weights of that epoch; CheckpointError where they are missing or damaged."""
    load_weights(network, best_of(folder, phase))
