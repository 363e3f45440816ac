"""Test-time views: features averaged over several draws of the augmentation, before they are classified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor


class AveragedViews:
    """The image as it is, and `draws` of those views that training draws, of the transforms in `augment`.

    Cameras differ in how large and how sharply they show a cell, and in which colours: what makes one view
    look odd to the network is lost in the mean.  Each draw is the same for every image, so that an answer
    depends on the image alone.  Goes with the rule of answers (temperature, thresholds), which is fitted on
    outputs that are averaged alike.

    augment: as `Augment.state` tells it.  Without draws it says nothing.
    Raises ValueError for `draws` that are no number of views, and an `augment` that tells of no transforms.
    """

    def __init__(self, draws: int = 0, augment: dict[str, Any] | None = None) -> None:
        if type(draws) is not int or draws < 0:
            raise ValueError(f"{draws!r} draws: expected a whole number, 0 or more")
        self.draws = draws
        self._augment = None
        if draws:
            from wbc.loading.augment import Augment  # albumentations takes a second to import

            self._augment = Augment.from_state(augment)

    @property
    def count(self) -> int:
        """Views of an image, and so many times the work."""
        return 1 + self.draws

    def of(self, pixels: Tensor) -> Iterator[Tensor]:
        """The views of (N, 3, S, S) of 0..255, each of the same shape: first the images as they are."""
        yield pixels
        if self._augment is None:
            return
        images = pixels.round().to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        for draw in range(self.draws):
            drawn = np.stack([self._augment(image, draw) for image in images])
            yield torch.from_numpy(drawn).permute(0, 3, 1, 2).to(pixels.device)

    def state(self) -> dict[str, Any]:
        """Plain values, as a checkpoint may hold them."""
        return {"draws": self.draws, "augment": None if self._augment is None else self._augment.state()}
