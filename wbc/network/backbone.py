"""A timm network without its classifier, split where it is frozen.

The backbone is a chain of units (stem, blocks, top).  Freezing divides the chain: units before the first
trainable parameter form the frozen part, which runs in inference mode and without a graph; the rest is the
trainable part, inside which single modules may still be frozen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import timm
import torch
from timm.models.efficientnet import EfficientNet
from timm.models.resnet import ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wbc.errors import ConfigError
from wbc.network.depthwise import train_slow_depthwise_in_float32
from wbc.network.keras_layers import last_modules
from wbc.network.pointwise import train_pointwise_as_products

Unit = tuple[str, tuple[str, ...], Callable[[Tensor], Tensor]]  # name, modules it owns, what it computes


class Backbone(nn.Module):
    """timm's `name` as features: (N, 3, H, W) normalised images to (N, features).

    `drop_path_rate` is the stochastic depth of the last block; the blocks before rise to it (Huang 2016).
    Nothing is frozen at first.
    """

    def __init__(self, name: str, image_size_px: int = 224, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.name = name
        self.image_size_px = image_size_px
        self.drop_path_rate = drop_path_rate
        self.net: Any = create_timm(name, image_size_px, drop_path_rate, pretrained=False)
        train_slow_depthwise_in_float32(self.net)
        train_pointwise_as_products(self.net)
        self.features: int = self.net.num_features
        if getattr(self.net, "head_hidden_size", None):
            self.features = self.net.head_hidden_size
        self._units = _units(self.net)
        self._split = 0  # units before it are frozen
        self._inference_only: list[nn.Module] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        """A copy whose units compute with its own weights, and not with those of the original."""
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        made.__dict__ |= {k: copy.deepcopy(v, memo) for k, v in self.__dict__.items() if k != "_units"}
        made._units = _units(made.net)
        return made

    @property
    def mean(self) -> tuple[float, ...]:
        """Channel means that timm's weights expect, for images scaled to 0..1."""
        return tuple(self.net.pretrained_cfg["mean"])

    @property
    def std(self) -> tuple[float, ...]:
        """Channel spreads that timm's weights expect, for images scaled to 0..1."""
        return tuple(self.net.pretrained_cfg["std"])

    @property
    def takes_one_size(self) -> bool:
        """Whether images must have the side it was made for, as windows and position embeddings want it."""
        return bool(self.net.pretrained_cfg.get("fixed_input_size"))

    def freeze(self, unfreeze_last: int, train_batch_norm: bool = True) -> None:
        """Let gradients reach the last `unfreeze_last` layers (see `wbc.network.keras_layers`) and no other.

        With `train_batch_norm=False` batch-norm stays frozen there too: its weights get no gradient and its
        running statistics do not move.
        """
        trainable = self._trainable(unfreeze_last, train_batch_norm)
        for parameter in self.net.parameters():
            parameter.requires_grad_(parameter in trainable)
        self._split = self._first_unit_of(trainable)
        frozen_layers = last_modules(self.net, 10**9) - last_modules(self.net, unfreeze_last)
        in_frozen_part = {
            module
            for _, owners, _ in self._units[: self._split]
            for owner in owners
            for module in self.net.get_submodule(owner).modules()
        }
        self._inference_only = [
            module
            for name, module in self.net.named_modules()
            if module in in_frozen_part
            or name in frozen_layers
            or (isinstance(module, _BatchNorm) and not any(p.requires_grad for p in module.parameters()))
        ]
        self.train(self.training)

    def train(self, mode: bool = True) -> Backbone:
        """As in torch, except that what is frozen stays in inference mode."""
        super().train(mode)
        for module in self._inference_only:
            module.training = False
        return self

    @property
    def split(self) -> int:
        """How many units, from the first, are the frozen part."""
        return self._split

    def split_after(self, unfreeze_last: int, train_batch_norm: bool = True) -> int:
        """What `split` would be after `freeze`."""
        return self._first_unit_of(self._trainable(unfreeze_last, train_batch_norm))

    @property
    def frozen_units(self) -> list[str]:
        """Names of the units of the frozen part, in order."""
        return [name for name, _, _ in self._units[: self._split]]

    @property
    def unit_parameters(self) -> list[tuple[str, list[nn.Parameter]]]:
        """Each unit's name and parameters, in order; the first has the network's bare ones too."""
        bare = list(self.net.parameters(recurse=False))  # class token, position embedding
        units: list[tuple[str, list[nn.Parameter]]] = []
        for name, owners, _ in self._units:
            owned = [p for owner in owners for p in self.net.get_submodule(owner).parameters()]
            units.append((name, list(dict.fromkeys(owned if units else [*bare, *owned]))))
        return units

    def unit_state(self, stop: int) -> dict[str, Tensor]:
        """Weights and statistics that decide what the units before number `stop` compute."""
        owners = [owner for _, names, _ in self._units[:stop] for owner in names]
        bare = {
            name for name, _ in self.net.named_parameters(recurse=False)
        }  # class token, position embedding
        return {
            key: value
            for key, value in self.net.state_dict().items()
            if key in bare or any(owner == "" or key.startswith(f"{owner}.") for owner in owners)
        }

    @property
    def unit_names(self) -> list[str]:
        """Names of all units, in order."""
        return [name for name, _, _ in self._units]

    def compute_units(self, values: Tensor, start: int, stop: int) -> Tensor:
        """What units `start` to `stop` - 1 make of the values that come to them."""
        for _, _, compute in self._units[start:stop]:
            values = compute(values)
        return values

    def run_units(self, values: Tensor, start: int, stop: int) -> Tensor:
        """As `compute_units`, without a graph."""
        with torch.no_grad():
            return self.compute_units(values, start, stop)

    def frozen_part(self, images: Tensor) -> Tensor:
        """What stays the same for an image however long the rest trains."""
        return self.run_units(images, 0, self._split)

    def trainable_part(self, values: Tensor) -> Tensor:
        """From the frozen part's values to features (N, features)."""
        return self.compute_units(values, self._split, len(self._units))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) normalised images to (N, features)."""
        return self.trainable_part(self.frozen_part(images))

    def _trainable(self, unfreeze_last: int, train_batch_norm: bool) -> set[nn.Parameter]:
        modules = [self.net.get_submodule(name) for name in last_modules(self.net, unfreeze_last)]
        return {
            parameter
            for module in modules
            if train_batch_norm or not isinstance(module, _BatchNorm)
            for parameter in module.parameters(recurse=False)
        }

    def _first_unit_of(self, parameters: set[nn.Parameter]) -> int:
        """The number of the first unit that has one of `parameters`; the count of units if none has."""
        for index, (_, owners, _) in enumerate(self._units):
            if any(p in parameters for owner in owners for p in self.net.get_submodule(owner).parameters()):
                return index
        return len(self._units)


def create_timm(name: str, image_size_px: int, drop_path_rate: float, *, pretrained: bool) -> Any:
    """A network of timm without classifier; ConfigError for a name that timm does not know."""
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.partition('.')[0]}*")[:5]
        hint = f"; near it: {', '.join(near)}" if near else "; timm.list_models() names all"
        raise ConfigError(f"model.backbone={name!r} is not a network of timm {timm.__version__}{hint}")
    options: dict[str, Any] = {}
    if drop_path_rate:
        options["drop_path_rate"] = drop_path_rate
    config = timm.get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size:
        options["img_size"] = image_size_px
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, **options)
    except (TypeError, RuntimeError, ValueError) as error:
        if pretrained:
            raise  # about the weights; wbc.network.pretrained says what to do
        raise ConfigError(f"timm cannot make {name} with {options or 'its defaults'}: {error}") from error


def _units(net: Any) -> list[Unit]:
    """The chain of units; a family not listed here has its feature map as one, and what pools it."""
    if isinstance(net, EfficientNet):
        blocks = [
            (f"blocks.{i}.{j}", (f"blocks.{i}.{j}",), block)
            for i, stage in enumerate(net.blocks)
            for j, block in enumerate(stage)
        ]
        return [
            ("stem", ("conv_stem", "bn1"), lambda x: net.bn1(net.conv_stem(x))),
            *blocks,
            ("top", ("conv_head", "bn2"), lambda x: net.bn2(net.conv_head(x))),
            ("pool", ("global_pool",), net.global_pool),
        ]
    if isinstance(net, ResNet):
        blocks = [
            (f"layer{i}.{j}", (f"layer{i}.{j}",), block)
            for i in range(1, 5)
            for j, block in enumerate(getattr(net, f"layer{i}"))
        ]
        return [
            ("stem", ("conv1", "bn1"), lambda x: net.maxpool(net.act1(net.bn1(net.conv1(x))))),
            *blocks,
            ("pool", ("global_pool",), net.global_pool),
        ]
    if type(net) is VisionTransformer and net.attn_pool is None:
        blocks = [(f"blocks.{i}", (f"blocks.{i}",), block) for i, block in enumerate(net.blocks)]
        return [
            (
                "embed",
                ("patch_embed", "pos_drop", "patch_drop", "norm_pre"),
                lambda x: net.norm_pre(net.patch_drop(net._pos_embed(net.patch_embed(x)))),
            ),
            *blocks,
            ("top", ("norm", "fc_norm"), lambda x: net.forward_head(net.norm(x), pre_logits=True)),
        ]
    return [
        ("features", ("",), net.forward_features),  # owns all, so that the network is frozen whole or not
        ("pool", (), lambda x: net.forward_head(x, pre_logits=True)),
    ]
