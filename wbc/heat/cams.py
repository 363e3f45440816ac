"""Class activation maps by pytorch-grad-cam, at any unit of a backbone.

The layers before the mapped one run without a graph, whatever of the network is frozen; only what follows is
differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, ScoreCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from wbc.errors import ConfigError
from wbc.network.backbone import Backbone
from wbc.network.network import Network

LAST = "last"  # the last unit that still has a map: the original's Grad-CAM
FUSED = "fused"  # that unit and finer ones together
_FUSED_LEVELS = 3


class _RawMaps:
    """Leaves maps as the method defines them, at the layer's own resolution.

    The library shifts and scales each to 0..1, which hides heat that lies everywhere, and resizes one by one.
    """

    def compute_cam_per_layer(self: Any, values: Tensor, targets: Sequence[Any], smooth: bool) -> list[Any]:
        """One (N, h, w) array a layer, of any sign."""
        activations = [one.numpy() for one in self.activations_and_grads.activations]
        gradients = [one.numpy() for one in self.activations_and_grads.gradients] or [None] * len(activations)
        return [
            self.get_cam_image(values, layer, targets, *seen, smooth)
            for layer, *seen in zip(self.target_layers, activations, gradients, strict=True)
        ]

    def aggregate_multi_layers(self, maps: list[Any]) -> list[Any]:
        """Left to the caller."""
        return maps


class _GradCAM(_RawMaps, GradCAM):
    pass


class _GradCAMPlusPlus(_RawMaps, GradCAMPlusPlus):
    pass


class _HiResCAM(_RawMaps, HiResCAM):
    pass


class _LayerCAM(_RawMaps, LayerCAM):
    pass


class _EigenCAM(_RawMaps, EigenCAM):
    def get_cam_image(
        self, values: Tensor, layer: Any, targets: Any, activations: Any, grads: Any, smooth: Any
    ) -> Any:
        """The library's projection on the first principal component, without the full right basis that takes
        it half a second an image, and with the sign that it leaves to chance: the larger extreme is positive
        (Chung 2025).
        """
        points = torch.from_numpy(activations).flatten(2).transpose(1, 2)  # (N, places, channels)
        points = points - points.mean(dim=1, keepdim=True)
        _, _, directions = torch.linalg.svd(points, full_matrices=False)
        maps = (points @ directions[:, :1].transpose(1, 2)).view(len(points), *activations.shape[2:])
        extremes = maps.flatten(1)
        flipped = extremes.amin(1).abs() > extremes.amax(1).abs()
        return torch.where(flipped.view(-1, 1, 1), -maps, maps).numpy()


class _ScoreCAM(_RawMaps, ScoreCAM):
    classify: Callable[[Tensor], Tensor] | None = None  # what it takes in place of the network, likewise

    def get_cam_weights(self, images: Tensor, layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
        """The library's weights, batch by batch: it spreads every channel of an image over the image at once,
        0.8 GB for each at 224 px.
        """
        rows = []
        for image, maps, target in zip(images, torch.from_numpy(activations), targets, strict=True):
            scores = []
            for part in maps.to(images.device).split(32):
                masks = F.interpolate(
                    part[:, None], size=image.shape[1:], mode="bilinear", align_corners=True
                )
                low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
                outputs = (self.classify or self.model)(image * (masks - low) / (high - low + 1e-8))
                scores += [target(output) for output in outputs]
                self.activations_and_grads.clear()  # its hook keeps what each pass makes
            rows.append(torch.stack(scores).softmax(dim=0).cpu())
        return torch.stack(rows).numpy()


_METHODS: dict[str, type[BaseCAM]] = {
    "gradcam": _GradCAM,
    "gradcam++": _GradCAMPlusPlus,
    "hirescam": _HiResCAM,
    "layercam": _LayerCAM,
    "eigencam": _EigenCAM,
    "scorecam": _ScoreCAM,
}
METHODS = tuple(_METHODS)


class Place(NamedTuple):
    """Where a map is taken: after unit `after`, or, inside a transformer's block, at its first norm."""

    name: str
    after: int  # units that come before
    module: nn.Module | None  # inside the next unit; None: what the units before give
    shape: tuple[int, int]  # places, down and across


class _Tail(nn.Module):
    """The network from unit `start` on, with a layer to hook at each of `places`."""

    def __init__(self, network: Network, start: int, places: Sequence[Place], head: nn.Module | None) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.start = start
        self.stops = {place.after: nn.Identity() for place in places if place.module is None}
        self.layers = [place.module or self.stops[place.after] for place in places]

    def forward(self, values: Tensor) -> Tensor:
        """What comes to unit `start` (N, ...) to logits (N, C), or to what another head says (N, K)."""
        backbone = self.network.backbone
        for unit in range(self.start, len(backbone.unit_names)):
            if unit in self.stops:
                values = self.stops[unit](values)
            values = backbone.compute_units(values, unit, unit + 1)
        return self.network.classify(values) if self.head is None else self.head(values)


class ClassActivationMap:
    """Heat maps of one method at one layer: `last`, `fused`, or a name among `places_of`.

    `layers` names what is used, `places_across` is how many places the coarsest has.  Parameters of `network`
    take no gradient from now on.  Runs in the precision of the surrounding autocast up to the mapped layer
    and in float32 behind it.
    classify: (N, 3, S, S) of 0..255 to logits (N, C) on any device, in place of the network's forward pass
    where a method takes hundreds of them: Score-CAM.
    head: what else heat may speak for, in place of classes: features (N, D) to logits (N, K).
    Raises ConfigError for an unknown method or layer, and for `fused` where all maps have one resolution.
    """

    def __init__(
        self,
        network: Network,
        method: str,
        layer: str = LAST,
        classify: Callable[[Tensor], Tensor] | None = None,
        head: nn.Module | None = None,
    ) -> None:
        if method not in _METHODS:
            raise ConfigError(f"method {method!r} is no class activation map: expected one of {METHODS}")
        self.network = network.eval().requires_grad_(False)
        places = _chosen(layer, places_of(network), network.backbone.name)
        self.layers = [place.name for place in places]
        self.places_across = min(place.shape[1] for place in places)
        # Score-CAM masks the image itself; the others need no graph before the first mapped layer.
        self._start = 0 if method == "scorecam" else places[0].after
        self._with_gradient = method not in ("eigencam", "scorecam")
        self._method = _METHODS[method]
        self._classify = classify
        self._tail = _Tail(network, self._start, places, head)

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """(N, 3, H, W) of 0..255 and (N,) numbers of logits to heat (N, H, W) float32 on the CPU, 0 or more.

        Heat is not scaled: a map without positive heat is all zero.
        """
        values = self.network.backbone.run_units(self.network.preprocess(images), 0, self._start).float()
        wanted = [ClassifierOutputTarget(int(target)) for target in targets]
        # Hooks for this call only: on the network's own layers they would keep what every later pass makes.
        cam = self._method(self._tail, self._tail.layers, lambda maps: _grid(maps, self.network.backbone))
        if self._classify is not None and isinstance(cam, _ScoreCAM):
            classify = self._classify
            cam.classify = lambda masked: classify(self.network.pixels(masked))
        device = images.device.type
        try:
            with torch.autocast(device, enabled=False), torch.set_grad_enabled(self._with_gradient):
                maps = cam(values.requires_grad_(self._with_gradient), wanted)
        finally:
            cam.activations_and_grads.release()
        return _combined([_enlarged(one, images.shape[-2:]) for one in maps])


def places_of(network: Network) -> list[Place]:
    """Where maps can be taken, in order."""
    backbone = network.backbone
    side = network.image_size_px
    values = network.preprocess(torch.zeros(1, 3, side, side, device=network.device))
    places: list[Place] = []
    for unit, name in enumerate(backbone.unit_names):
        values = backbone.run_units(values, unit, unit + 1)
        if values.ndim < 3 or (values.ndim == 4 and max(values.shape[-2:]) == 1):
            break
        place: tuple[str, nn.Module | None] | None = (name, None)
        if values.ndim == 3:
            place = _first_norm(backbone, unit + 1)
        if place is not None:
            height, width = _grid(values, backbone).shape[-2:]
            places.append(Place(place[0], unit + 1, place[1], (height, width)))
    return places


def _first_norm(backbone: Backbone, unit: int) -> tuple[str, nn.Module] | None:
    """The norm with which a transformer's block starts, if that unit is one.

    Behind the last block only the class token counts, and what comes to a block is scaled by this norm, which
    leaves gradient times activation before it no meaning; right behind the norm both are sound.
    """
    name = f"{backbone.unit_names[unit]}.norm1"
    modules = dict(backbone.net.named_modules())
    return (name, modules[name]) if name in modules else None


def _chosen(layer: str, places: list[Place], backbone: str) -> list[Place]:
    if not places:
        raise ConfigError(f"{backbone} has no layer known to hold a map of places: give methods=[lime]")
    if layer == LAST:
        return places[-1:]
    names = ", ".join(place.name for place in places)
    if layer == FUSED:
        last_of_each = {place.shape: place for place in places}
        if len(last_of_each) > 1:
            return sorted(last_of_each.values(), key=lambda place: place.after)[-_FUSED_LEVELS:]
        height, width = places[0].shape
        raise ConfigError(
            f"layer {FUSED}: all maps of {backbone} have {height} x {width} places; give {LAST} or one of "
            f"{names}"
        )
    found = [place for place in places if place.name == layer]
    if not found:
        raise ConfigError(
            f"layer {layer!r} of {backbone} has no map: expected {LAST}, {FUSED} or one of {names}"
        )
    return found


def _grid(values: Tensor, backbone: Backbone) -> Tensor:
    """(N, C, h, w) of what a unit gives: that itself, (N, h, w, C), or tokens (N, T, C)."""
    if values.ndim == 4:
        channels_last = getattr(backbone.net, "output_fmt", "NCHW") == "NHWC"  # Swin and its kin
        return values.permute(0, 3, 1, 2) if channels_last else values
    tokens = values[:, backbone.net.num_prefix_tokens :]
    height, width = backbone.net.patch_embed.grid_size
    return tokens.transpose(1, 2).unflatten(2, (height, width))


def _enlarged(maps: np.ndarray, size: torch.Size) -> Tensor:
    """(N, h, w) of any sign to its positive part (N, H, W)."""
    positive = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32)).clamp(min=0)
    return F.interpolate(positive[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def _combined(maps: list[Tensor]) -> Tensor:
    """One map as it is; several as the geometric mean of each scaled to a maximum of 1.

    A coarse map knows which part speaks for the class, a fine one where its edge is: heat must be in all.
    """
    if len(maps) == 1:
        return maps[0]
    scaled = [heat / heat.amax((1, 2), keepdim=True).clamp(min=1e-12) for heat in maps]
    return torch.stack(scaled).prod(dim=0) ** (1 / len(maps))
