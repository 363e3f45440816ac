"""A trained model in a program: images in, answers out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wbc.answers.checkpoint import load_model
from wbc.answers.rule import AnswerRule, Answers, joined, no_answers, uncalibrated
from wbc.images.decode import decode
from wbc.images.standard_view import StandardView
from wbc.network.network import Network


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
            views = [self._prepared(image) for image in images[start : start + batch_size]]
            pixels = torch.from_numpy(np.stack([view.pixels for view in views])).permute(0, 3, 1, 2)
            parts.append(self.answer(pixels, [view.found for view in views]))
        return joined(parts)

    def answer(self, pixels: Tensor, found: Sequence[bool | None]) -> Answers:
        """(N, 3, H, W) of 0..255 as the network's `prepare` makes them, on any device, to N answers.

        found: what `prepare` says of each picture.
        """
        return self.answers(*self.outputs(pixels), found)

    def answers(self, features: Tensor, logits: Tensor, found: Sequence[bool | None]) -> Answers:
        """The answers that such `outputs` give, by the rule where there is one."""
        if self.rule is None:
            answers = uncalibrated(logits, self.classes)
        else:
            answers = self.rule.answer(features, logits, self.classes)
        return answers._replace(cell_found=list(found))

    def outputs(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, D) and logits (N, C) of such pixels, float32 on the CPU: what a rule is fitted on.

        Where the network has several test-time views, the features are means over them, and the logits are
        those of the means; those of its second opinion, where it has one, are added.
        """
        with torch.inference_mode():
            features, logits = self.network.test_time.outputs(
                self.network, pixels.to(self.network.mean.device)
            )
        logits = logits.float().cpu()
        if self.network.second_opinion is not None:
            logits = logits + self.network.second_opinion.logits(pixels)
        return features.float().cpu(), logits

    def _prepared(self, image: str | Path | np.ndarray) -> StandardView:
        if not isinstance(image, np.ndarray):
            image = decode(image)
        elif image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"an array of {image.dtype} {image.shape} is no image: expected uint8 (height, width, 3) RGB"
            )
        return self.network.prepare.view(image)


def load(path: str | Path) -> Predictor:
    """The predictor in a `model.ckpt`, on the CPU; CheckpointError for any other file."""
    return Predictor(*load_model(path))
