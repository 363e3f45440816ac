"""From a decoded picture to what the network sees: the one way for training, prediction and explanation.

Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from wbc.images import DECODER, resize
from wbc.standard_view import VERSION, StandardView, standard_view

STANDARDISE = ("none", "scale", "background", "both")


@dataclass(frozen=True)
class Prepare:
    """Makes (size_px, size_px, 3) uint8 of a decoded picture (H, W, 3) uint8 RGB.

    standardise: one of STANDARDISE, what is brought to a standard; see `wbc.standard_view`.
    scale_strength: how far the cell's size is.
    """

    size_px: int
    standardise: str = "none"
    scale_strength: float = 1.0

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """The picture as the network takes it."""
        return self.view(rgb).pixels

    def view(self, rgb: np.ndarray) -> StandardView:
        """The same with whether a cell was found; None where none was looked for."""
        if self.standardise == "none":
            return StandardView(resize(rgb, self.size_px), None)
        scale = self.scale_strength if self.standardise in ("scale", "both") else 0.0
        return standard_view(rgb, self.size_px, scale, self.standardise in ("background", "both"))

    @property
    def key(self) -> list[str]:
        """What the pixels depend on beside the file: a part of the names of caches."""
        return [repr(self), VERSION, DECODER, cv2.__version__]
