"""Files that hold a trained network: `model.ckpt`, and the checkpoints that training leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from wbc.answers.rule import AnswerRule
from wbc.errors import CheckpointError
from wbc.network.network import Network
from wbc.network.pretrained import read_tensors
from wbc.utils.files import replacing

PROVENANCE_KEY = "provenance"
RULE_KEY = "answers"  # the AnswerRule's state; training checkpoints have none
DESCRIPTION_KEY = "wbc"  # under it, in both kinds of file, lies Network.describe()
NETWORK_PREFIX = "network."  # of the network's weights in a training checkpoint


def save_model(
    network: Network, path: Path, provenance: dict[str, Any], rule: AnswerRule | None = None
) -> None:
    """Write `network`, its `rule` and `provenance` (plain values) to `path`, whole or not at all."""
    content = {
        DESCRIPTION_KEY: network.describe(),
        "state_dict": {key: value.detach().cpu() for key, value in network.state_dict().items()},
        RULE_KEY: None if rule is None else rule.state(),
        PROVENANCE_KEY: provenance,
    }
    with replacing(path) as beside:
        torch.save(content, beside)


def load_network(path: Path | str) -> Network:
    """The network in a `model.ckpt` or in a training checkpoint, in evaluation mode, on the CPU.

    Needs no network connection and runs no code from the file.  Raises CheckpointError for anything else.
    """
    return load_model(path)[0]


def load_model(path: Path | str) -> tuple[Network, AnswerRule | None]:
    """As `load_network`, with the rule of its answers; None in a training checkpoint."""
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
        rule = None if content.get(RULE_KEY) is None else AnswerRule.from_state(content[RULE_KEY])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is damaged or of another version of wbc: {str(error).strip()[:300]}"
        ) from error
    return network.eval(), rule


def load_provenance(path: Path | str) -> dict[str, Any]:
    """What `save_model` was told of how the model came about; {} for a training checkpoint."""
    content = read_tensors(Path(path).expanduser())
    return content.get(PROVENANCE_KEY, {}) if isinstance(content, dict) else {}
