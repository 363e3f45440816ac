"""Features averaged over several views of an image, flipped, zoomed, blurred, before they are classified."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

if TYPE_CHECKING:
    from wbc.network import Network


@dataclass(frozen=True)
class AveragedViews:
    """Which views: each of `scales` (1.0 is the image as it is) at each of `blurs` (sigmas of a Gaussian, as
    shares of the image's side; 0.0 is the image as it is), with `flips` also mirrored in both axes.

    A smear has no upright, and cameras differ in how large they show a cell and how sharply: noise, halos of
    sharpening and the blocks of JPEG look like granules.  Belongs to a network, since the rule of its answers
    (temperature, thresholds) is fitted on outputs that are averaged alike.
    """

    flips: bool = False
    scales: Sequence[float] = (1.0,)
    blurs: Sequence[float] = (0.0,)

    def __post_init__(self) -> None:
        """Lists, as settings and checkpoints have them, are the same views."""
        object.__setattr__(self, "scales", tuple(self.scales))
        object.__setattr__(self, "blurs", tuple(self.blurs))

    @property
    def count(self) -> int:
        """Views of an image, and so many times the work."""
        return len(self.scales) * len(self.blurs) * (4 if self.flips else 1)

    def of(self, pixels: Tensor) -> Iterator[Tensor]:
        """The views of (N, 3, S, S), each of the same shape, always the same and in the same order."""
        for blur, scale in itertools.product(self.blurs, self.scales):
            view = zoomed(blurred(pixels, blur), scale)
            yield view
            if self.flips:
                yield from (view.flip(dims) for dims in ([3], [2], [2, 3]))

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
            "blurs": [float(blur) for blur in self.blurs],
        }


def blurred(pixels: Tensor, blur: float) -> Tensor:
    """(N, 3, S, S) under a Gaussian of the sigma `blur * S`; uint8 becomes float unless nothing changes."""
    sigma = blur * pixels.shape[-1]
    if sigma == 0:
        return pixels
    size = 2 * math.ceil(3 * sigma) + 1
    with torch.autocast(pixels.device.type, enabled=False):  # bf16 would round grey levels
        # In one direction, then in the other: the same at a fraction of the cost.
        along = gaussian_blur(pixels.float(), [size, 1], [sigma, sigma])
        return gaussian_blur(along, [1, size], [sigma, sigma])


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
