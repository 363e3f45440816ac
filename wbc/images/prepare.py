"""From a decoded picture to what the network sees: the one way for training, prediction and explanation.

Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from wbc.images.cell_finder import FoundNucleus
from wbc.images.decode import DECODER, resize
from wbc.images.standardised import VERSION, StandardisedPicture, standardised


@dataclass(frozen=True)
class Prepare:
    """Makes (size_px, size_px, 3) uint8 of a decoded picture (H, W, 3) uint8 RGB.

    standardise: which of size, field and stain are brought to a standard; see `wbc.images.standardised`.
    """

    size_px: int
    standardise: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Lists, as settings and checkpoints have them, in any order are the same."""
        object.__setattr__(self, "standardise", tuple(sorted(self.standardise)))

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """The picture as the network takes it."""
        return self.picture(rgb).pixels

    def picture(self, rgb: np.ndarray, nucleus: FoundNucleus | None = None) -> StandardisedPicture:
        """The same with whether a cell was found; None where none was looked for.

        nucleus: where it was found before.
        """
        if not self.standardise:
            return StandardisedPicture(resize(rgb, self.size_px), None)
        size, field, stain = (name in self.standardise for name in ("size", "field", "stain"))
        return standardised(rgb, self.size_px, size, field, stain, nucleus)

    @property
    def key(self) -> list[str]:
        """What the pixels depend on beside the file: a part of the names of caches."""
        return [repr(self), VERSION, DECODER, cv2.__version__]
