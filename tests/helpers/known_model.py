"""A small model that nobody trained, which knows some cells, and predictions made with it."""

from pathlib import Path

import numpy as np
import torch

from tests.helpers.commands import typed
from tests.helpers.trees import picture, write_image
from wbc.answers.checkpoint import save_model
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.known_cells import KnownCells
from wbc.settings.abstain import AbstainConfig
from wbc.utils.short_names import names_below


def write_known_model(folder: Path) -> tuple[Path, Path]:
    """`folder`/model.ckpt and the folder in which the ten cells that it knows lie."""
    known = folder / "known"
    paths = [
        str(write_image(known / CLASSES[number % 5] / f"{number}.png", picture(number, 40)))
        for number in range(10)
    ]
    torch.manual_seed(0)
    predictor = Predictor(Network(Backbone("tf_efficientnet_lite0", 64), list(CLASSES)))
    outputs, _, _ = predictor.answer_files(paths, 10, 0, "known")
    settings = AbstainConfig(0.2, 0.9, "knn", 0.95)
    labels = torch.arange(10) % 5
    predictor.rule = fit_rule(outputs.features, outputs.logits, labels, settings)
    predictor.known = KnownCells(names_below(paths), labels.numpy().astype(np.int64))
    save_model(predictor, folder / "model.ckpt", {})
    return folder / "model.ckpt", known


def write_predicted(folder: Path, model: Path, count: int = 12) -> Path:
    """The predictions of `model` for so many crops, in `folder`/counted."""
    for number in range(count):
        write_image(folder / "cells" / f"{number}.png", picture(100 + number, 40))
    done = typed(
        "wbc", "predict", f"checkpoint={model}", f"images={folder / 'cells'}", f"output={folder / 'counted'}"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "counted"
