"""The explanation methods by name, behind one interface: a batch of images and classes in, heat out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from wbc.errors import ConfigError
from wbc.heat import cams
from wbc.heat.lime import Lime
from wbc.heat.views import VIEWS, SteadyMap
from wbc.network.network import Network

LIME = "lime"
SCORECAM = "scorecam"
MANY_PASSES = (LIME, SCORECAM)  # hundreds of forward passes an image


class Method(NamedTuple):
    """name: as it was asked for.  layers: what it looks at.  heat: images (N, 3, H, W) of 0..255 and class
    numbers (N,) to (N, H, W) float32 >= 0 on the CPU.
    """

    name: str
    layers: list[str]
    heat: Callable[[Tensor, Tensor], Tensor]

    @property
    def takes_many_passes(self) -> bool:
        """Whether it is left out of what repeats it often."""
        return self.name.partition(":")[0] in MANY_PASSES


def build_method(
    name: str,
    network: Network,
    lime: Lime,
    classify: Callable[[Tensor], Tensor] | None = None,
    views: int = VIEWS,
) -> Method:
    """`<method>` or `<method>:<layer>` for `network`; ConfigError for an unknown one.

    classify: as `ClassActivationMap` takes it.  views: of each picture, for methods of few passes.
    """
    kind, _, layer = name.partition(":")
    if kind == LIME:
        if layer:
            raise ConfigError(f"method {name}: lime looks at no layer; write {LIME}")
        return Method(name, ["input"], lambda images, targets: _lime_heat(lime, images, targets))
    if kind not in cams.METHODS:
        raise ConfigError(f"method {name!r}: expected one of {', '.join((*cams.METHODS, LIME))}")
    cam = cams.ClassActivationMap(network, kind, layer or cams.LAST, classify)
    steady = SteadyMap(cam, 1 if kind in MANY_PASSES else views)
    return Method(name, cam.layers, steady)


def _lime_heat(lime: Lime, images: Tensor, targets: Tensor) -> Tensor:
    arrays = images.permute(0, 2, 3, 1).cpu().numpy()
    heats = [lime.explain(image, target).heat for image, target in zip(arrays, targets.tolist(), strict=True)]
    return torch.stack([torch.from_numpy(heat) for heat in heats])
