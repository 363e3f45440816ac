"""Pictures in, answers out, as `wbc.answers.predictor` gives them: by an exported network, without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from wbc.images.cell_finder import find_nucleus
from wbc.images.picture_marks import picture_marks
from wbc.images.prepare import Prepare
from wbc.plain.answers import Answers, FittedRule, described, uncalibrated
from wbc.plain.picture_check import PictureCheck
from wbc.plain.second_opinion import opinion
from wbc.plain.size_opinion import SizeOpinion
from wbc.plain.words import FittedWords

SETTINGS, ARRAYS = "model.json", "arrays.npz"


class Network(Protocol):
    """What an engine makes of the network's file."""

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3, S, S) float32 of 0..255 to features (N, D) and logits (N, C)."""


class Classifier:
    """The model in `folder`, whose network `network` computes."""

    def __init__(self, folder: Path, network: Network) -> None:
        self._network = network
        told = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        with np.load(folder / ARRAYS, allow_pickle=False) as file:
            self._arrays = dict(file)
        self.classes: list[str] = told["classes"]
        self.prepare = Prepare(**told["prepare"])
        self._rule = self._rule_of(told["rule"])
        self._pictures = None if told["pictures"] is None else PictureCheck.from_state(told["pictures"])
        self._opinion_weight: float | None = told["second_opinion_weight"]
        size = told["size_opinion"]
        self._size = None if size is None else SizeOpinion.from_state(size, len(self.classes))
        self._words = self._words_of(told["words"])
        self._draws: int = told["views"]["draws"]
        self._augment: Any = None
        if self._draws:
            from wbc.loading.augment import Augment  # needs albumentations, and a second to import

            self._augment = Augment.from_state(told["views"]["augment"])

    def answer(self, pictures: Sequence[np.ndarray]) -> Answers:
        """Of N pictures (H, W, 3) uint8 RGB, as `wbc.images.decode` reads them; one or more."""
        nuclei = [find_nucleus(picture) for picture in pictures]
        shown = [
            self.prepare.picture(picture, nucleus) for picture, nucleus in zip(pictures, nuclei, strict=True)
        ]
        marks = [
            picture_marks(picture, nucleus, red_cells=self._size is not None)
            for picture, nucleus in zip(pictures, nuclei, strict=True)
        ]
        images = np.stack([one.pixels for one in shown])
        features, logits = self._outputs(images)
        if self._opinion_weight is not None:
            logits = logits + opinion(images, self._opinion_weight, self._named("forest"))
        if self._size is not None:
            logits = logits + self._size.logits([one.nucleus_in_red_cells for one in marks])
        if self._rule is None:
            answers = uncalibrated(logits, self.classes)
        else:
            answers = self._rule.answer(features, logits, self.classes)
            if self._pictures is not None:
                said = [self._pictures.status(one) for one in marks]
                answers = answers._replace(
                    status=[one or status for one, status in zip(said, answers.status, strict=True)]
                )
        answers = answers._replace(cell_found=[one.found for one in shown])
        return described(answers, self._words, features, self.classes)

    def _outputs(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features and logits of (N, S, S, 3) uint8; of the mean features where there are views."""
        features, logits = self._network(_pixels(images))
        if not self._draws:
            return features, logits
        drawn = [
            self._network(_pixels(np.stack([self._augment(image, draw) for image in images])))[0]
            for draw in range(self._draws)
        ]
        mean = np.stack([features, *drawn]).mean(axis=0)
        return mean, self._head(mean)

    def _head(self, values: np.ndarray) -> np.ndarray:
        """The dense head, a ReLU between its layers, of features (N, D): logits (N, C)."""
        layers = self._named("head")
        last = len(layers) // 2 - 1
        for layer in range(last + 1):
            values = values @ layers[f"{layer}.weight"].T + layers[f"{layer}.bias"]
            values = values if layer == last else np.maximum(values, 0)
        return values

    @property
    def attributes(self) -> tuple[str, ...]:
        """What is told of each cell in words, by name; () for a model without words."""
        return () if self._words is None else self._words.names

    def _words_of(self, told: dict[str, Any] | None) -> FittedWords | None:
        if told is None:
            return None
        arrays = self._named("words")
        return FittedWords.from_state(told | arrays, len(arrays["weight"]), len(self.classes))

    def _rule_of(self, told: dict[str, Any] | None) -> FittedRule | None:
        """None where the model has none.  No threshold: the model answers nothing."""
        if told is None:
            return None
        threshold = np.inf if told["threshold"] is None else told["threshold"]
        return FittedRule(**(told | {"threshold": threshold}), outlier_arrays=self._named("outlier"))

    def _named(self, part: str) -> dict[str, np.ndarray]:
        return {
            name.removeprefix(f"{part}."): values
            for name, values in self._arrays.items()
            if name.startswith(f"{part}.")
        }


def _pixels(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
