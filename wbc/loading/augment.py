"""Random views of a training image, the same for the same seed whichever process draws them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from wbc.errors import ConfigError

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the network for a newer release
import albumentations
from albumentations.core.serialization import NON_SERIALIZABLE_REGISTRY


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

    @classmethod
    def from_state(cls, state: dict[str, Any] | None) -> Augment:
        """The chain that `state` told, of albumentations' own transforms: a file cannot name other code.

        Raises ValueError for what tells of none.
        """
        _check_plain(state)
        try:
            chain = albumentations.from_dict(state)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no transforms of albumentations: {type(error).__name__} {error}") from error
        if not isinstance(chain, albumentations.Compose):
            raise ValueError("no chain of transforms of albumentations")
        return cls(chain.transforms)

    def state(self) -> dict[str, Any]:
        """Plain values, as a checkpoint may hold them.

        Raises ConfigError for a transform that is not all plain values, as one with a function of its own.
        """
        try:
            told: dict[str, Any] = albumentations.to_dict(self._chain)
            self.from_state(told)
        except (NotImplementedError, ValueError) as error:
            raise ConfigError(
                "augment.transforms cannot be saved with the model, which model.test_time.draws needs: "
                f"{error}; leave that transform out, or set model.test_time.draws=0"
            ) from error
        return told

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


def _check_plain(told: Any) -> None:
    """Raise ValueError for what is no plain value, and for a transform that is not albumentations' own.

    Own classes are in albumentations' registry only where they were imported; their names have a dot there.
    """
    if isinstance(told, dict):
        name = told.get("__class_fullname__", "")
        if not isinstance(name, str) or "." in name or name in NON_SERIALIZABLE_REGISTRY:
            raise ValueError(f"{name} is none of albumentations' own transforms of plain values")
        for value in told.values():
            _check_plain(value)
    elif isinstance(told, list | tuple):
        for value in told:
            _check_plain(value)
    elif type(told) not in (str, int, float, bool, type(None)):  # numpy's float64 is a float, but not plain
        raise ValueError(f"{told!r} is no plain value, as transforms of albumentations are told in")
