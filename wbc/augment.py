"""Random views of a training image, the same for the same seed whichever process draws them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from wbc.errors import ConfigError

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the network for a newer release
import albumentations


class Augment:
    """A chain of albumentations transforms that draws each view from a seed of its own.

    Raises TypeError for something that is no transform: albumentations would fail at the first image only.
    """

    def __init__(
        self, transforms: Sequence[albumentations.BasicTransform | albumentations.BaseCompose]
    ) -> None:
        for transform in transforms:
            if not isinstance(transform, albumentations.BasicTransform | albumentations.BaseCompose):
                raise TypeError(f"augment.transforms holds {transform!r}: expected albumentations transforms")
        self._chain = albumentations.Compose(transforms)

    def __call__(self, image: np.ndarray, *seed: int) -> np.ndarray:
        """The view of `image` (H, W, 3) uint8 that belongs to the numbers in `seed`; same shape and type."""
        # One number out of several, well mixed: neighbouring epochs and images must not share views.
        self._chain.set_random_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        view = self._chain(image=image)["image"]
        if view.shape != image.shape or view.dtype != image.dtype:
            raise ConfigError(
                f"augment.transforms make {view.dtype} {view.shape} of {image.dtype} {image.shape}: "
                "leave out normalising and resizing, which the model does itself"
            )
        return view
