"""A trained model in a program: images in, labels and probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from wbc.checkpoint import load_network
from wbc.images import decode, resize
from wbc.network import Network


class Predictions(NamedTuple):
    """labels: N class names; probabilities: (N, C) float32 in the order of the predictor's classes."""

    labels: list[str]
    probabilities: np.ndarray


class Predictor:
    """Applies a network to images of any size, batch by batch."""

    def __init__(self, network: Network) -> None:
        self.network = network.eval()

    @property
    def classes(self) -> list[str]:
        """The classes in the order of the probabilities."""
        return self.network.classes

    def predict(self, images: Sequence[str | Path | np.ndarray], batch_size: int = 32) -> Predictions:
        """Classify files or arrays (H, W, 3) uint8 RGB.

        Raises TypeError for a single file name, ImageError for a file that cannot be read, ValueError for an
        array of another kind.
        """
        if isinstance(images, str | Path):
            raise TypeError(f"predict takes a list: [{str(images)!r}]")
        parts = [torch.empty(0, len(self.classes))]
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            for start in range(0, len(images), batch_size):
                batch = np.stack([self._prepared(image) for image in images[start : start + batch_size]])
                pixels = torch.from_numpy(batch).permute(0, 3, 1, 2).to(device)
                parts.append(self.network(pixels).softmax(dim=1).cpu())
        probabilities = torch.cat(parts)
        labels = [self.classes[index] for index in probabilities.argmax(dim=1).tolist()]
        return Predictions(labels, probabilities.numpy())

    def _prepared(self, image: str | Path | np.ndarray) -> np.ndarray:
        if not isinstance(image, np.ndarray):
            image = decode(image)
        elif image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"an array of {image.dtype} {image.shape} is no image: expected uint8 (height, width, 3) RGB"
            )
        return resize(image, self.network.image_size_px)


def load(path: str | Path) -> Predictor:
    """The predictor in a `model.ckpt`, on the CPU; CheckpointError for any other file."""
    return Predictor(load_network(path))
