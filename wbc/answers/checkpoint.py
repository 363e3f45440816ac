"""Files that hold a trained network: `model.ckpt`, and the checkpoints that training leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wbc.answers.averaged_views import AveragedViews
from wbc.answers.predictor import Predictor, known_bank
from wbc.answers.rule import AnswerRule
from wbc.answers.second_opinion import SecondOpinion
from wbc.errors import CheckpointError, ConfigError
from wbc.images.standardised import VERSION
from wbc.labels import names_of_model
from wbc.network.network import DESCRIPTION_KEY, Network
from wbc.network.pretrained import read_tensors, write_tensors
from wbc.plain.known_cells import KnownCells
from wbc.plain.lab_check import LabCheck
from wbc.plain.picture_check import PictureCheck
from wbc.plain.size_opinion import SizeOpinion
from wbc.plain.words import FittedWords
from wbc.settings.paths import PRETRAINED

# In model.ckpt, beside the network; a training checkpoint has none of them.
RULE_KEY = "answers"  # the AnswerRule's state
PICTURES_KEY = "pictures"  # the PictureCheck's state; models of before it have none
LAB_KEY = "lab"  # the LabCheck's state; models of before it have none
VIEWS_KEY = "test_time"  # the AveragedViews' state
OPINION_KEY = "second_opinion"  # the SecondOpinion's state, or None
WORDS_KEY = "words"  # the FittedWords' state, or None; models of before them have no such key
KNOWN_KEY = "known_cells"  # the KnownCells' state, or None; models of before them have no such key
SIZE_KEY = "size_opinion"  # the SizeOpinion's state, or None; models of before it have no such key
PROVENANCE_KEY = "provenance"
# What constructors and timm say to a description or state of the wrong kind, keys or shape.
_MISFITS = (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError, AssertionError)
_NETWORK_PREFIX = "network."  # of the network's weights in a training checkpoint


def save_model(predictor: Predictor, path: Path, provenance: dict[str, Any]) -> None:
    """Write `predictor` and `provenance` (plain values) to `path`, whole or not at all."""
    opinion = predictor.second_opinion
    known = None if known_bank(predictor.rule) is None else predictor.known
    content = {
        DESCRIPTION_KEY: predictor.network.describe(),
        "state_dict": {key: value.detach().cpu() for key, value in predictor.network.state_dict().items()},
        RULE_KEY: None if predictor.rule is None else predictor.rule.state(),
        PICTURES_KEY: None if predictor.pictures is None else predictor.pictures.state(),
        LAB_KEY: None if predictor.lab is None else _tensors(predictor.lab.state()),
        VIEWS_KEY: predictor.views.state(),
        OPINION_KEY: None if opinion is None else opinion.state(),
        WORDS_KEY: None if predictor.words is None else _tensors(predictor.words.state()),
        KNOWN_KEY: None if known is None else _tensors(known.state()),
        SIZE_KEY: None if predictor.size is None else predictor.size.state(),
        PROVENANCE_KEY: provenance,
    }
    write_tensors(content, path)


def load_model(path: Path | str) -> Predictor:
    """The predictor in a `model.ckpt`, or in a training checkpoint, which has no rule; on the CPU.

    Needs no network connection and runs no code from the file.  Raises CheckpointError for anything else.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise CheckpointError(f"no file {path}: give model.ckpt of a run folder, or {PRETRAINED}")
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: give the file in it, such as {path / 'model.ckpt'}")
    content = read_tensors(path)
    if not isinstance(content, dict) or DESCRIPTION_KEY not in content or "state_dict" not in content:
        raise CheckpointError(
            f"{path} is not a wbc model: expected model.ckpt of a run folder, or a file in its checkpoints/; "
            "plain ImageNet weights are given as model.weights=<path>"
        )
    try:
        return _predictor(content)
    except _MISFITS as error:
        raise CheckpointError(f"{path} is damaged or does not fit: {str(error).strip()[:300]}") from error


def load_network(path: Path | str) -> Network:
    """The network alone, as `load_model` finds it."""
    return load_model(path).network


def load_weights(network: Network, path: Path) -> None:
    """Give `network` the weights that a training checkpoint holds of it.

    Takes no memory for a second network.  Raises CheckpointError where the file is missing, damaged or of
    another network, and may leave `network` with some of it.
    """
    content = read_tensors(path, mapped=True)
    try:
        _load_state(network, content["state_dict"])
    except _MISFITS as error:
        raise CheckpointError(f"{path} is damaged or does not fit: {str(error).strip()[:300]}") from error


def load_provenance(path: Path | str) -> dict[str, Any]:
    """What `save_model` was told of how the model came about; {} for a training checkpoint.

    Raises CheckpointError where what verbs act upon is not of the kind that it should be: the settings, the
    spellings of classes, how training went, and the models that it was adapted from.
    """
    content = read_tensors(Path(path).expanduser())
    if not isinstance(content, dict) or PROVENANCE_KEY not in content:
        return {}
    provenance = content[PROVENANCE_KEY]
    try:
        _check_provenance(provenance, content[DESCRIPTION_KEY]["classes"])
    except (*_MISFITS, ConfigError) as error:
        raise CheckpointError(
            f"{path}: its record of how it was made is damaged ({type(error).__name__}: {error}); "
            "copy it again from its origin"
        ) from error
    return provenance


def _check_provenance(provenance: Any, classes: Sequence[str]) -> None:
    """Look at it as the verbs do, which fails where it is damaged."""
    names_of_model(classes, _table(provenance))
    config = _table(provenance.get("config", {}))
    if not isinstance(config.get("init_from"), str | None):
        raise TypeError("config.init_from is no path")
    for figures in _table(provenance.get("validation", {})).values():
        float(_table(figures)["val_macro_f1"]), float(figures["val_loss"])
        int(figures["epochs"])
        float(_table(figures.get("linear_classifier") or {"macro_f1": 0})["macro_f1"])
    for by_class in _table(_table(provenance.get("images") or {}).get("splits", {})).values():
        sum(map(int, _table(by_class).values()))
    if (unknown := provenance.get("unknown")) is not None:
        int(_table(unknown)["learnt"])
        for shares in _table(unknown["kinds"]).values():
            float(_table(shares)["not_a_known_cell"]), float(shares["answered"]), int(shares["images"])
    adapted = provenance.get("adapted")
    while adapted is not None:
        Path(_table(adapted)["from"])
        adapted = adapted.get("before")


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no table"[:100])
    return value


def _predictor(content: dict[str, Any]) -> Predictor:
    description = content[DESCRIPTION_KEY]
    network = Network.from_description(description)
    _load_state(network, content["state_dict"])
    rule, views, opinion, pictures, lab, words = (
        content.get(key) for key in (RULE_KEY, VIEWS_KEY, OPINION_KEY, PICTURES_KEY, LAB_KEY, WORDS_KEY)
    )
    if opinion is not None and description["standardise_version"] != VERSION:
        raise ValueError(
            f"its second opinion measured cells as version {description['standardise_version']} of the cell "
            f"finder does, and this is version {VERSION}: train it anew"
        )
    known, size = content.get(KNOWN_KEY), content.get(SIZE_KEY)
    answer_rule = None if rule is None else AnswerRule.from_state(rule)
    if answer_rule is not None:
        answer_rule.hierarchy(network.classes)  # which fails where it does not fit them
    fitted = None
    if words is not None:
        fitted = FittedWords.from_state(_arrays(words), network.backbone.features, len(network.classes))
    bank = known_bank(answer_rule)
    return Predictor(
        network,
        answer_rule,
        None if views is None else AveragedViews(**views),
        None if opinion is None else SecondOpinion.from_state(opinion, len(network.classes)),
        None if pictures is None else PictureCheck.from_state(pictures),
        None if lab is None else LabCheck.from_state(_arrays(lab), len(network.classes)),
        fitted,
        None
        if known is None
        else KnownCells.from_state(
            _arrays(known), 0 if bank is None else len(bank), len(network.classes), fitted
        ),
        None if size is None else SizeOpinion.from_state(size, len(network.classes)),
    )


def _load_state(network: Network, state: dict[str, Any]) -> None:
    """`state`: the weights of a model.ckpt, or those of a training checkpoint, which has others beside."""
    if any(key.startswith(_NETWORK_PREFIX) for key in state):
        state = {
            key.removeprefix(_NETWORK_PREFIX): value
            for key, value in state.items()
            if key.startswith(_NETWORK_PREFIX)
        }
    network.load_state_dict(state)
    for key, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{key} holds values that are not finite numbers")


def _tensors(state: dict[str, Any]) -> dict[str, Any]:
    """Arrays as a checkpoint may hold them; other plain values as they are."""
    return {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in state.items()
    }


def _arrays(state: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.numpy() if isinstance(value, torch.Tensor) else value for name, value in state.items()
    }
