"""Files that hold a trained network: `model.ckpt`, and the checkpoints that training leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from wbc.errors import CheckpointError
from wbc.files import replacing
from wbc.network import Network
from wbc.weights import read_tensors

DESCRIPTION_KEY = "wbc"  # under it, in both kinds of file, lies Network.describe()
NETWORK_PREFIX = "network."  # of the network's weights in a training checkpoint


def save_model(network: Network, path: Path, provenance: dict[str, Any]) -> None:
    """Write `network` to `path` with its description and `provenance` (plain values), whole or not at all."""
    content = {
        DESCRIPTION_KEY: network.describe(),
        "state_dict": {key: value.detach().cpu() for key, value in network.state_dict().items()},
        "provenance": provenance,
    }
    with replacing(path) as beside:
        torch.save(content, beside)


def load_network(path: Path | str) -> Network:
    """The network in a `model.ckpt` or in a training checkpoint, in evaluation mode, on the CPU.

    Needs no network connection and runs no code from the file.  Raises CheckpointError for anything else.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: give the file in it, such as {path / 'model.ckpt'}")
    content = read_tensors(path)
    if not isinstance(content, dict) or DESCRIPTION_KEY not in content or "state_dict" not in content:
        raise CheckpointError(
            f"{path} is not a wbc model: expected model.ckpt of a run folder, or a file in its checkpoints/; "
            "plain ImageNet weights are given as model.weights=<path>"
        )
    state = content["state_dict"]
    if any(key.startswith(NETWORK_PREFIX) for key in state):
        state = {
            key.removeprefix(NETWORK_PREFIX): value
            for key, value in state.items()
            if key.startswith(NETWORK_PREFIX)
        }
    try:
        network = Network.from_description(content[DESCRIPTION_KEY])
        network.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is damaged or of another version of wbc: {str(error).strip()[:300]}"
        ) from error
    return network.eval()
