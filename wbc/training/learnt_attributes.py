"""Attributes in a run: what is learnt of them beside the class, and the words that are fitted at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wbc.answers.predictor import Predictor
from wbc.loading.datamodule import ImageData
from wbc.loading.epoch_sampler import EpochSampler
from wbc.network.network import Network
from wbc.plain.words import FittedWords
from wbc.settings.train import Config
from wbc.training.measuring import SetOutputs
from wbc.training.signals import raise_if_asked
from wbc.utils.progress import progress
from wbc.words.attribute_loss import AttributeLoss
from wbc.words.attribute_table import AttributeTable, Vocabulary
from wbc.words.fit import fit_words
from wbc.words.measured import measured_words

_DRAWS = 2  # of each training image, that heads are fitted on


@dataclass(frozen=True)
class LearntAttributes:
    """The table of attributes, and what of it the training images of the run can teach."""

    table: AttributeTable
    vocabulary: Vocabulary

    def targets(self, data: ImageData, name: str) -> np.ndarray:
        """The numbers of values (N, A) of the images of a set."""
        return self.table.targets(self.vocabulary, data.rows[name]["path"].tolist())

    def fitted(self, predictor: Predictor, data: ImageData, val: Tensor, config: Config) -> FittedWords:
        """Fitted on draws of the training images, calibrated by features `val` of the validation images."""
        targets, labels = self.targets(data, "train"), data.labels("train").numpy()
        features, rows = _training_features(predictor, data)
        return fit_words(
            self.vocabulary,
            (features, targets[rows], labels[rows]),
            (val.numpy(), self.targets(data, "val")),
            len(data.classes),
            config.words.max_error,
        )

    def measured(
        self, predictor: Predictor, data: ImageData, seen: Mapping[str, SetOutputs]
    ) -> dict[str, dict[str, Any]]:
        """`measured_words` of each measured set of which the table knows an image."""
        assert predictor.words is not None
        found = {}
        for name, one in seen.items():
            targets = self.targets(data, name)
            if (targets >= 0).any():
                features, labels = one.outputs.features.numpy(), data.labels(name).numpy()
                found[name] = measured_words(predictor.words, features, targets, labels, data.classes)
        return found


def learnt_attributes(config: Config, data: ImageData) -> LearntAttributes | None:
    """None where data.attributes names no table.  Raises DataError for one that cannot be used."""
    if config.data.attributes is None:
        return None
    table = AttributeTable.read(config.data.attributes)
    return LearntAttributes(table, table.vocabulary(data.rows["train"]["path"].tolist()))


def attribute_loss(
    attributes: LearntAttributes | None, phase: str, data: ImageData, network: Network, weight: float
) -> AttributeLoss | None:
    """What a phase learns beside the class: nothing, but in fine-tuning, for frozen features cannot learn."""
    if attributes is None or phase != "finetune" or not weight:
        return None
    targets = torch.from_numpy(attributes.targets(data, "train"))
    return AttributeLoss(network.backbone.features, attributes.vocabulary.sizes, targets, weight)


def _training_features(predictor: Predictor, data: ImageData) -> tuple[np.ndarray, np.ndarray]:
    """Features (_DRAWS * N, D) of draws of the training images, and which image each row is of."""
    order = EpochSampler(len(data.rows["train"]), shuffle=False)
    loader = data.image_loader("train", order)
    features, rows = [], []
    predictor.runtime.expect(_DRAWS * len(data.rows["train"]) * predictor.views.count)
    for draw in range(_DRAWS):
        order.set_epoch(draw)
        for batch in progress(loader, f"features for words, {draw + 1} of {_DRAWS}", "batch"):
            raise_if_asked()
            features.append(predictor.features(batch.images).numpy())
            rows.append(batch.indices.numpy())
    return np.concatenate(features), np.concatenate(rows)
