"""The network that training starts from: pretrained, from another model, or where a run was interrupted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from wbc.answers.checkpoint import load_network
from wbc.errors import CheckpointError, ConfigError
from wbc.network.backbone import Backbone
from wbc.network.keras_file import is_keras, read_keras
from wbc.network.keras_weights import load_keras, pixels_of
from wbc.network.network import Network
from wbc.network.pretrained import load_pretrained
from wbc.settings.layout import last_checkpoint
from wbc.settings.train import PHASES, Config

log = logging.getLogger(__name__)


def check_start(config: Config, folder: Path) -> None:
    """Raise CheckpointError where `init_from` is not there: before images are looked at, which takes long."""
    begun = any(last_checkpoint(folder, phase).exists() for phase in PHASES)
    if config.init_from is not None and not begun and not Path(config.init_from).expanduser().exists():
        raise CheckpointError(
            f"init_from={config.init_from}: no such file; give model.ckpt of a run folder, or a whole model "
            "of Keras"
        )


def starting_network(config: Config, folder: Path, phases: Sequence[str]) -> Network:
    """The network that the first phase starts from, or on a resumed run, any of its states.

    A resumed run needs neither the weights nor the file it started from: its checkpoints hold everything.
    Raises ConfigError or CheckpointError for an `init_from` of another model or other classes.
    """
    for phase in reversed(phases):
        last = last_checkpoint(folder, phase)
        if last.exists():
            try:
                return load_network(last)
            except CheckpointError as error:
                raise CheckpointError(
                    f"{error}. To train phase {phase} anew, delete {last}, then continue with resume_from"
                ) from error
    model = config.model
    backbone = Backbone(model.backbone, model.image_size_px, model.drop_path_rate)
    network = Network(backbone, config.data.classes, model.head_units, model.dropout, model.standardise)
    if config.init_from is None:
        load_pretrained(backbone, model.weights)
        return network
    if is_keras(config.init_from):
        _load_keras(network, config)
        return network
    found = load_network(config.init_from)
    asked = {
        "model.backbone": (found.backbone.name, model.backbone),
        "model.image_size_px": (found.image_size_px, model.image_size_px),
        "data.classes": (found.classes, list(config.data.classes)),
        "model.head_units": (found.head_units, list(model.head_units)),
        "model.standardise": (list(found.prepare.standardise), sorted(model.standardise)),
    }
    for key, (has, wanted) in asked.items():
        if has != wanted:
            raise ConfigError(
                f"init_from={config.init_from} has {key}={has}, but {wanted} is asked for: give the same "
                "model and classes as the run that it comes from"
            )
    network.load_state_dict(found.state_dict())
    network.mean, network.std = found.mean, found.std
    return network


def _load_keras(network: Network, config: Config) -> None:
    """What a file of Keras has learnt."""
    assert config.init_from is not None
    file = read_keras(config.init_from)
    pixels = pixels_of(file)
    if pixels is not None and pixels != network.image_size_px:
        raise ConfigError(
            f"init_from={config.init_from} takes images of {pixels} pixels, and model.image_size_px is "
            f"{network.image_size_px}: give model.image_size_px={pixels}"
        )
    load_keras(network, file)
    log.info(
        "weights of Keras from %s, whose outputs are taken as %s, in this order",
        config.init_from,
        ", ".join(network.classes),
    )
