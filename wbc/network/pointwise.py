"""Large convolutions of one pixel are trained as products of matrices in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def train_pointwise_as_products(net: nn.Module) -> None:
    """Let large 1x1 convolutions of `net` train as products of matrices in bf16 on CPUs.

    The result is the same but for rounding.  By oneDNN's convolution those of the last blocks of
    EfficientNetV2-L take up to 1.5 times as long; smaller ones are as fast, or faster
    (`benchmarks/pointwise.py`).  Passes without a gradient, other devices and other precisions are left as
    they are.
    """
    for module in net.modules():
        if _is_large_pointwise(module):
            product = partial(_product_with_gradient, module, module.forward)
            module.forward = product  # type: ignore[method-assign]


_LARGE = 500_000  # weights


def _is_large_pointwise(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    # Not of a subclass, which may pad or standardise its weights.
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == module.stride == (1, 1)
        and module.padding in ((0, 0), 0)
        and module.groups == 1
        and module.weight.numel() >= _LARGE
    )


def _product_with_gradient(module: nn.Conv2d, forward: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    in_bf16 = values.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    if not (in_bf16 and torch.is_grad_enabled() and module.weight.requires_grad):
        return forward(values)
    product = F.linear(values.permute(0, 2, 3, 1), module.weight.flatten(1), module.bias)
    return product.permute(0, 3, 1, 2)
