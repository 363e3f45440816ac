"""A trained model in a program: images in, answers out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wbc.answers import AnswerRule, Answers, joined, no_answers, uncalibrated
from wbc.checkpoint import load_model
from wbc.images import decode
from wbc.network import Network


class Predictor:
    """Applies a network, and the rule that belongs to it, to images of any size, batch by batch."""

    def __init__(self, network: Network, rule: AnswerRule | None = None) -> None:
        self.network = network.eval()
        self.rule = rule

    @property
    def classes(self) -> list[str]:
        """The classes in the order of the probabilities."""
        return self.network.classes

    def predict(self, images: Sequence[str | Path | np.ndarray], batch_size: int = 32) -> Answers:
        """Classify files or arrays (H, W, 3) uint8 RGB.

        Raises TypeError for a single file name, ImageError for a file that cannot be read, ValueError for an
        array of another kind.
        """
        if isinstance(images, str | Path):
            raise TypeError(f"predict takes a list: [{str(images)!r}]")
        parts = [no_answers(len(self.classes))]
        for start in range(0, len(images), batch_size):
            batch = np.stack([self._prepared(image) for image in images[start : start + batch_size]])
            parts.append(self.answer(torch.from_numpy(batch).permute(0, 3, 1, 2)))
        return joined(parts)

    def answer(self, pixels: Tensor) -> Answers:
        """(N, 3, H, W) of 0..255 with the side that the network was made for, on any device, to N answers."""
        features, logits = self.outputs(pixels)
        if self.rule is None:
            return uncalibrated(logits, self.classes)
        return self.rule.answer(features, logits, self.classes)

    def outputs(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, D) and logits (N, C) of such pixels, float32 on the CPU: what a rule is fitted on."""
        with torch.inference_mode():
            features = self.network.features(pixels.to(self.network.mean.device))
            logits = self.network.classify(features)
        return features.float().cpu(), logits.float().cpu()

    def _prepared(self, image: str | Path | np.ndarray) -> np.ndarray:
        if not isinstance(image, np.ndarray):
            image = decode(image)
        elif image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"an array of {image.dtype} {image.shape} is no image: expected uint8 (height, width, 3) RGB"
            )
        return self.network.prepare(image)


def load(path: str | Path) -> Predictor:
    """The predictor in a `model.ckpt`, on the CPU; CheckpointError for any other file."""
    return Predictor(*load_model(path))
