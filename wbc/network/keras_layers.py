"""The layers of a backbone in the order in which "unfreeze the last N" counts them.

Keras counts every activation, multiply, add, dropout and reshape as a layer of its own, timm does not.
For the EfficientNet families the Keras list is rebuilt here from the timm network, name by name
(keras.applications.efficientnet and efficientnet_v2; checked against lists read off Keras 3.15).
For every other backbone a layer is a timm module that has no children or holds parameters of its own
(a layer scale, a position embedding), identities left out, in the order in which the network registers them,
which is the order of computation in timm's models.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from timm.models.efficientnet import EfficientNet
from torch import nn

_KERAS_BLOCKS = {"ConvBnAct", "EdgeResidual", "DepthwiseSeparableConv", "InvertedResidual"}


class Layer(NamedTuple):
    """One countable layer: its name, and the timm module that does its work (None: no module of its own).

    The module's own parameters belong to the layer, those of its children do not.
    """

    name: str
    module: str | None


def backbone_layers(net: Any) -> list[Layer]:
    """All layers of a timm network without its classifier, first to last."""
    if is_of_keras(net):
        return _keras_efficientnet_layers(net)
    return [
        Layer(name, name)
        for name, module in net.named_modules()
        if not isinstance(module, nn.Identity)
        and (not list(module.children()) or list(module.parameters(recurse=False)))
    ]


def is_of_keras(net: Any) -> bool:
    """Whether a timm network is built of the blocks of Keras's EfficientNets."""
    return (
        isinstance(net, EfficientNet) and {type(b).__name__ for s in net.blocks for b in s} <= _KERAS_BLOCKS
    )


def last_modules(net: Any, last: int) -> set[str]:
    """Names of the timm modules among the last `last` layers; more than there are means all of them.

    Raises ValueError for a negative count: as a slice it would mean something else.
    """
    if last < 0:
        raise ValueError(f"cannot unfreeze the last {last} layers: give 0 or more")
    layers = backbone_layers(net)
    return {layer.module for layer in layers[max(0, len(layers) - last) :] if layer.module is not None}


def _keras_efficientnet_layers(net: Any) -> list[Layer]:
    v2 = "v2" in net.pretrained_cfg["architecture"]
    layers = [Layer("input", None), Layer("rescaling", None)]
    if not v2:
        layers += [Layer("normalization", None), Layer("stem_conv_pad", None)]
    layers += [Layer("stem_conv", "conv_stem"), Layer("stem_bn", "bn1"), Layer("stem_activation", None)]
    first = True
    for i, stage in enumerate(net.blocks):
        for j, block in enumerate(stage):
            path, name = f"blocks.{i}.{j}", f"block{i + 1}{chr(ord('a') + j)}"
            layers += _keras_block_layers(block, path, name, v2=v2, first=first)
            first = False
    return [*layers, Layer("top_conv", "conv_head"), Layer("top_bn", "bn2"), Layer("top_activation", None)]


def _keras_block_layers(block: Any, path: str, name: str, *, v2: bool, first: bool) -> list[Layer]:
    kind = type(block).__name__
    layers: list[Layer] = []

    def add(suffix: str, module: str | None = None) -> None:
        layers.append(Layer(f"{name}_{suffix}", None if module is None else f"{path}.{module}"))

    def add_depthwise(norm: str) -> None:
        if not v2 and block.conv_dw.stride != (1, 1):
            add("dwconv_pad")
        add("dwconv2" if v2 else "dwconv", "conv_dw")
        add("bn", norm)
        add("activation")

    def add_squeeze_excite() -> None:
        if not isinstance(getattr(block, "se", None), nn.Module) or isinstance(block.se, nn.Identity):
            return
        add("se_squeeze")
        add("se_reshape")
        add("se_reduce", "se.conv_reduce")
        add("se_expand", "se.conv_expand")
        add("se_excite")

    if kind == "ConvBnAct":  # fused block with expansion 1
        add("project_conv", "conv")
        add("project_bn", "bn1")
        add("project_activation")
    elif kind == "EdgeResidual":  # fused block
        add("expand_conv", "conv_exp")
        add("expand_bn", "bn1")
        add("expand_activation")
        add_squeeze_excite()
        add("project_conv", "conv_pwl")
        add("project_bn", "bn2")
    elif kind == "DepthwiseSeparableConv":  # inverted residual with expansion 1
        add_depthwise("bn1")
        add_squeeze_excite()
        add("project_conv", "conv_pw")
        add("project_bn", "bn2")
    else:  # InvertedResidual
        add("expand_conv", "conv_pw")
        add("expand_bn", "bn1")
        add("expand_activation")
        add_depthwise("bn2")
        add_squeeze_excite()
        add("project_conv", "conv_pwl")
        add("project_bn", "bn3")
    if block.has_skip:
        if not first:  # Keras leaves the drop out where its rate is 0: in the very first block
            add("drop", "drop_path")
        add("add")
    return layers
