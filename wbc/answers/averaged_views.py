"""Features averaged over several views of an image, flipped, zoomed, augmented, before classification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from wbc.loading.augment import Augment
    from wbc.network.network import Network


@dataclass(frozen=True)
class AveragedViews:
    """Which views: each of `scales` (1.0 is the image as it is), with `flips` also mirrored in both axes; and
    as many as `draws` says of those that training draws, of the transforms in `augment` (`Augment.state`).

    A smear has no upright, and cameras differ in how large and how sharply they show a cell, and in which
    colours: what makes one view look odd to the network is lost in the mean.  Each draw is the same for
    every image, so that an answer depends on the image alone.  Belongs to a network, since the rule of its
    answers (temperature, thresholds) is fitted on outputs that are averaged alike.
    Raises ValueError for `draws` that are no number of views, and an `augment` that tells of no transforms.
    """

    flips: bool = False
    scales: Sequence[float] = (1.0,)
    draws: int = 0
    augment: dict[str, Any] | None = field(default=None, hash=False)
    _augment: Augment = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Lists, as settings and checkpoints have them, are the same views."""
        object.__setattr__(self, "scales", tuple(self.scales))
        if type(self.draws) is not int or self.draws < 0:
            raise ValueError(f"{self.draws!r} draws: expected a whole number, 0 or more")
        if self.draws == 0:
            object.__setattr__(self, "augment", None)  # says nothing
        else:
            from wbc.loading.augment import Augment  # albumentations takes a second to import

            object.__setattr__(self, "_augment", Augment.from_state(self.augment))

    @property
    def count(self) -> int:
        """Views of an image, and so many times the work."""
        return len(self.scales) * (4 if self.flips else 1) + self.draws

    def of(self, pixels: Tensor) -> Iterator[Tensor]:
        """The views of (N, 3, S, S), each of the same shape, always the same and in the same order."""
        for scale in self.scales:
            scaled = zoomed(pixels, scale)
            yield scaled
            if self.flips:
                yield from (scaled.flip(dims) for dims in ([3], [2], [2, 3]))
        if self.draws:
            images = pixels.round().to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
            for draw in range(self.draws):
                drawn = np.stack([self._augment(image, draw) for image in images])
                yield torch.from_numpy(drawn).permute(0, 3, 1, 2).to(pixels.device)

    def outputs(self, network: Network, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean features (N, D) over the views of (N, 3, S, S) of 0..255, and their logits (N, C).

        Features and not logits or probabilities are averaged: what is fitted on features, outlier scores and
        a head for another lab, then knows those that it will meet.
        """
        features = torch.stack([network.features(view) for view in self.of(pixels)]).mean(dim=0)
        return features, network.classify(features)

    def state(self) -> dict[str, Any]:
        """Plain values, as a checkpoint may hold them."""
        return {
            "flips": self.flips,
            "scales": [float(scale) for scale in self.scales],
            "draws": self.draws,
            "augment": self.augment,
        }


def zoomed(pixels: Tensor, scale: float) -> Tensor:
    """(N, 3, S, S) with everything `scale` times as large, to a pixel of the border: above 1 cut there, below
    1 widened by repeating what is there, which adds no edge.  uint8 becomes float unless nothing changes.
    """
    side = pixels.shape[-1]
    border = round((side - side * min(scale, 1 / scale)) / 2)  # equal on both sides: the cell stays put
    small = side - 2 * border  # of the shrunk picture, or of what is cut out to be enlarged
    if border == 0:
        return pixels
    if scale > 1:
        cut = pixels[..., border:-border, border:-border].float()
        return F.interpolate(cut, (side, side), mode="bilinear", align_corners=False)
    picture = pixels.float()
    shrunk = F.interpolate(picture, (small, small), mode="bilinear", align_corners=False, antialias=True)
    return F.pad(shrunk, (border,) * 4, mode="replicate")
