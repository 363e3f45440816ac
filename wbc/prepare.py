"""From a decoded picture to what the network sees: the one way for training, prediction and explanation.

Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from wbc.images import DECODER, resize


@dataclass(frozen=True)
class Prepare:
    """Makes (size_px, size_px, 3) uint8 of a decoded picture (H, W, 3) uint8 RGB."""

    size_px: int

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """The picture as the network takes it."""
        return resize(rgb, self.size_px)

    @property
    def key(self) -> list[str]:
        """What the pixels depend on beside the file: a part of the names of caches."""
        return [repr(self), DECODER, cv2.__version__]
