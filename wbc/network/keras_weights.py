"""Weights of Keras's EfficientNets with a dense head in our network, and ours in Keras's, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wbc.errors import CheckpointError
from wbc.network.keras_file import KerasFile, KerasLayer
from wbc.network.keras_layers import backbone_layers, is_of_keras
from wbc.network.network import Network

# timm's twins of the networks in keras.applications.
TWINS = {
    **{f"EfficientNetB{size}": f"tf_efficientnet_b{size}" for size in range(8)},
    **{f"EfficientNetV2B{size}": f"tf_efficientnetv2_b{size}" for size in range(4)},
    **{f"EfficientNetV2{size.upper()}": f"tf_efficientnetv2_{size}" for size in "sml"},
}
# What may stand before the backbone or in the head, and changes nothing when a model answers.
_IDLE = ("InputLayer", "Dropout", "GaussianNoise")
_IMAGENET_SPREAD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Weight:
    """One array of Keras: whose it is, and where it lies here.

    ours: its key in the state of `Network`.  shape: as Keras has it.  axes: how ours is turned into Keras's.
    """

    layer: str
    kind: str  # conv2d, as Keras 3 names it in a file
    role: str
    ours: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]

    def to_ours(self, array: np.ndarray) -> Tensor:
        """Keras's array as a tensor of ours, float32."""
        turned = np.transpose(array, np.argsort(self.axes)) if self.axes else array
        return torch.from_numpy(np.array(turned, dtype=np.float32, order="C"))

    def to_keras(self, tensor: Tensor) -> np.ndarray:
        """The way back."""
        array = tensor.detach().cpu().float().numpy()
        return np.ascontiguousarray(np.transpose(array, self.axes) if self.axes else array)


def backbone_weights(network: Network) -> list[Weight]:
    """Every array of the backbone, in Keras's order; CheckpointError where Keras has no such network."""
    net = network.backbone.net
    if not is_of_keras(net) or network.backbone.name.split(".")[0] not in TWINS.values():
        raise CheckpointError(
            f"keras.applications has no {network.backbone.name}: expected one of {', '.join(TWINS.values())}"
        )
    return [
        weight
        for layer in backbone_layers(net)
        if layer.module is not None
        for weight in _weights_of(layer.name, net.get_submodule(layer.module), f"backbone.net.{layer.module}")
    ]


def load_keras(network: Network, file: KerasFile) -> None:
    """Fill `network` from `file`: backbone, dense head, and the scale on which pixels come to it.

    Raises CheckpointError that names the first layer that differs; nothing is loaded then.
    """
    expected = backbone_weights(network)
    state = {weight.ours: _found(weight, number, file, network) for weight, number in numbered(expected)}
    if file.layers is not None:
        _check_backbone(network, file)
    dense = _dense_layers(file, {weight.layer for weight in expected})
    state |= _head_state(network, file, dense)
    mean, std = _pixel_scale(network, file)
    missing, unknown = network.load_state_dict(state, strict=False)
    assert not unknown
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    network.mean = torch.from_numpy(mean).float().view(1, 3, 1, 1)
    network.std = torch.from_numpy(std).float().view(1, 3, 1, 1)


def pixels_of(file: KerasFile) -> int | None:
    """The side of the square images that the model was made for; None where the file does not tell it."""
    for layer in file.layers or []:
        shape = layer.settings.get("batch_shape", layer.settings.get("batch_input_shape"))
        if layer.kind == "InputLayer" and shape:
            return shape[1] if shape[1] == shape[2] else None
    return None


def _weights_of(layer: str, module: nn.Module, ours: str) -> Iterator[Weight]:
    if isinstance(module, nn.BatchNorm2d):
        for role, name in (
            ("gamma", "weight"),
            ("beta", "bias"),
            ("moving_mean", "running_mean"),
            ("moving_variance", "running_var"),
        ):
            yield Weight(
                layer, "batch_normalization", role, f"{ours}.{name}", tuple(getattr(module, name).shape), ()
            )
    elif isinstance(module, nn.Conv2d):
        # Ours is (out, in / groups, height, width); Keras's (height, width, in, out), of a depthwise one
        # (height, width, in, 1).
        depthwise = module.groups > 1
        axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        kind = "depthwise_conv2d" if depthwise else "conv2d"
        shape = tuple(module.weight.shape[axis] for axis in axes)
        yield Weight(layer, kind, "kernel", f"{ours}.weight", shape, axes)
        if module.bias is not None:
            yield Weight(layer, kind, "bias", f"{ours}.bias", tuple(module.bias.shape), ())


def numbered(weights: Sequence[Weight]) -> Iterator[tuple[Weight, int]]:
    """Each with the number of its layer among those of its kind, by which files without names know it."""
    seen: dict[str, list[str]] = {}
    for weight in weights:
        layers = seen.setdefault(weight.kind, [])
        if weight.layer not in layers:
            layers.append(weight.layer)
        yield weight, len(layers) - 1


def _found(weight: Weight, number: int, file: KerasFile, network: Network) -> Tensor:
    arrays = file.named.get(weight.layer) if file.named else file.numbered.get((weight.kind, number))
    array = None if arrays is None else arrays.get(weight.role)
    if array is None or array.shape != weight.shape:
        has = "has none" if array is None else f"is {tuple(array.shape)}"
        raise CheckpointError(
            f"{file.path} is not {network.backbone.name}: the first layer that differs is {weight.layer}, "
            f"whose {weight.role} {has} where {weight.shape} is expected; {_meant(file)}"
        )
    return weight.to_ours(array)


def _meant(file: KerasFile) -> str:
    """The mend, by what the file holds."""
    layers = [name for name in file.order if not name.startswith("dense")]
    top = file.named.get("top_conv", {}).get("kernel")
    if top is None:
        return "expected an EfficientNet of keras.applications with a dense head"
    stem = file.named["stem_conv"]["kernel"] if "stem_conv" in file.named else top
    blocks = len([name for name in layers if name.endswith("project_conv")])
    told = f"its stem has {stem.shape[-1]} channels, its top {top.shape[-1]}, its blocks are {blocks}"
    return f"{told}: give model=timm model.backbone=<its network>, one of {', '.join(TWINS.values())}"


def _check_backbone(network: Network, file: KerasFile) -> None:
    """Epsilons, and layers without weights, which decide what the network computes too."""
    assert file.layers is not None
    told = {layer.name: layer for layer in file.layers}
    for name, place in backbone_layers(network.backbone.net):
        if place is None:
            continue
        module = network.backbone.net.get_submodule(place)
        epsilon = told[name].settings.get("epsilon") if name in told else None
        if isinstance(module, nn.BatchNorm2d) and epsilon is not None and epsilon != module.eps:
            raise CheckpointError(
                f"{file.path}: {name} has epsilon {epsilon}, and {network.backbone.name} {module.eps}: "
                "it was not made by keras.applications; its weights would compute something else here"
            )
    for layer in file.layers:
        if layer.kind in ("GlobalMaxPooling2D", "Flatten"):
            raise CheckpointError(
                f"{file.path}: {layer.name} is {layer.kind}, where {network.backbone.name} has a "
                "GlobalAveragePooling2D: it cannot be computed here"
            )


def _dense_layers(file: KerasFile, backbone: set[str]) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Name and arrays of the layers of the head, in order; CheckpointError for what is no dense layer."""
    found = [
        *((name, file.named[name]) for name in file.order if name not in backbone),
        *(
            (f"{kind}_{number}", arrays)
            for (kind, number), arrays in sorted(file.numbered.items())
            if kind not in ("conv2d", "depthwise_conv2d", "batch_normalization")
        ),
    ]
    dense = []
    for name, arrays in found:
        if arrays.keys() == {"mean", "variance", "count"}:
            continue  # of the pixels' scale
        if arrays.keys() != {"kernel", "bias"} or arrays["kernel"].ndim != 2:
            raise CheckpointError(
                f"{file.path}: {name} is no layer of the backbone and no Dense with a bias: the head here "
                "is of Dense, ReLU and Dropout alone"
            )
        dense.append((name, arrays))
    if not dense:
        raise CheckpointError(
            f"{file.path} has a backbone and no dense head: save the whole model, by "
            "model.save('model.keras')"
        )
    return dense


def _head_state(
    network: Network, file: KerasFile, dense: list[tuple[str, dict[str, np.ndarray]]]
) -> dict[str, Tensor]:
    widths = [arrays["kernel"].shape[1] for _, arrays in dense]
    classes = len(network.classes)
    if widths[-1] != classes:
        raise CheckpointError(
            f"{file.path}: its last layer, {dense[-1][0]}, tells {widths[-1]} classes, and "
            f"data.classes names {classes}: give data.classes=[...] with as many, in the order in which the "
            "model was trained (Keras sorts folders by name)"
        )
    if widths[:-1] != network.head_units:
        raise CheckpointError(
            f"{file.path}: its dense layers have {widths[:-1]} units, and model.head_units is "
            f"{network.head_units}: give model.head_units=[{','.join(map(str, widths[:-1]))}]"
        )
    _check_head_activations(file, [name for name, _ in dense])
    state: dict[str, Tensor] = {}
    kernels = {id(module): name for name, module in network.head.named_modules()}
    features = network.backbone.features
    for (name, arrays), module in zip(dense, network.head.kernels, strict=True):
        if arrays["kernel"].shape[0] != features:
            raise CheckpointError(
                f"{file.path}: the first layer that differs is {name}, which takes "
                f"{arrays['kernel'].shape[0]} values where {features} come to it"
            )
        features = arrays["kernel"].shape[1]
        state[f"head.{kernels[id(module)]}.weight"] = torch.from_numpy(arrays["kernel"].T.astype(np.float32))
        state[f"head.{kernels[id(module)]}.bias"] = torch.from_numpy(arrays["bias"].astype(np.float32))
    return state


def _check_head_activations(file: KerasFile, dense: list[str]) -> None:
    told = {layer.name: layer for layer in file.layers or []}
    for name in dense:
        if name not in told:
            continue
        activation = told[name].settings.get("activation")
        allowed = ("softmax", "linear") if name == dense[-1] else ("relu",)
        if activation not in allowed:
            raise CheckpointError(
                f"{file.path}: {name} has the activation {activation}, where the head here has "
                f"{' or '.join(allowed)}: it cannot be computed here"
            )


def _pixel_scale(network: Network, file: KerasFile) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread, of pixels of 0..255, by which they come to the stem; each (3,)."""
    scale, offset = np.ones(3), np.zeros(3)
    for layer in _before_the_stem(network, file):
        if layer.kind == "Rescaling":
            by, plus = (np.asarray(layer.settings[key], dtype=np.float64) for key in ("scale", "offset"))
        elif layer.kind == "Normalization":
            mean, variance = _mean_and_variance(layer, file)
            by = 1 / np.maximum(np.sqrt(variance), 1e-7)
            plus = -mean * by
        elif layer.kind in _IDLE or layer.kind.startswith("Random") or layer.kind == "ZeroPadding2D":
            continue
        else:
            raise CheckpointError(
                f"{file.path}: {layer.name} ({layer.kind}) stands before the backbone, where Rescaling, "
                "Normalization and Random... layers are known"
            )
        scale, offset = scale * by, offset * by + plus
    return -offset / scale + 0.0, 1 / scale  # + 0.0: no -0.0


def _before_the_stem(network: Network, file: KerasFile) -> list[KerasLayer]:
    """As the file tells it, or as keras.applications builds it."""
    if file.layers is not None:
        names = [layer.name for layer in file.layers]
        return file.layers[: names.index("stem_conv")]
    if network.backbone.name.startswith("tf_efficientnetv2_b"):
        raise CheckpointError(
            f"{file.path} holds weights alone, which do not tell the scale of pixels: save the whole "
            "model, by model.save('model.keras')"
        )
    if "v2" in network.backbone.name:
        return [KerasLayer("rescaling", "Rescaling", {"scale": 1 / 128, "offset": -1})]
    layers = [
        KerasLayer("rescaling", "Rescaling", {"scale": 1 / 255, "offset": 0}),
        KerasLayer("normalization", "Normalization", {}),
    ]
    _, variance = _mean_and_variance(layers[1], file)
    if np.allclose(variance, _IMAGENET_SPREAD, atol=1e-4):
        # With ImageNet's weights Keras keeps the spread as variance, and divides by its root once more.
        by = [1 / math.sqrt(spread) for spread in _IMAGENET_SPREAD]
        layers.append(KerasLayer("rescaling_1", "Rescaling", {"scale": by, "offset": 0}))
    return layers


def _mean_and_variance(layer: KerasLayer, file: KerasFile) -> tuple[np.ndarray, np.ndarray]:
    told = layer.settings
    if told.get("mean") is not None and told.get("variance") is not None:
        return np.asarray(told["mean"], np.float64), np.asarray(told["variance"], np.float64)
    kept: Any = next(
        (one for one in [*file.named.values(), *file.numbered.values()] if "variance" in one), None
    )
    if kept is None:
        return np.zeros(3), np.ones(3)
    return kept["mean"].reshape(-1).astype(np.float64), kept["variance"].reshape(-1).astype(np.float64)
