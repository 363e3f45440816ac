"""Depthwise convolutions whose backward pass is slow in bfloat16 are trained in float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeGuard

import torch
from torch import Tensor, nn


def train_slow_depthwise_in_float32(net: nn.Module) -> None:
    """Let depthwise convolutions of `net` whose bf16 backward pass is slow on CPUs train in float32.

    oneDNN has fast bf16 kernels for 3x3 at stride 1 only; with other kernels or strides the backward pass
    takes from twice to over ten times as long in bf16 as in float32 (AVX-512-BF16; figures by
    `benchmarks/depthwise.py`).  Forward passes without a gradient, other devices and other precisions are
    left as they are.
    """
    for module in net.modules():
        if _has_slow_backward(module):
            float32 = partial(_in_float32_with_gradient, module, module.forward)
            module.forward = float32  # type: ignore[method-assign]


def _has_slow_backward(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    if not isinstance(module, nn.Conv2d) or not module.groups == module.in_channels > 1:
        return False
    return max(module.kernel_size) > 3 or max(module.stride) > 1


def _in_float32_with_gradient(
    module: nn.Conv2d, forward: Callable[[Tensor], Tensor], values: Tensor
) -> Tensor:
    slow = values.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    if not (slow and torch.is_grad_enabled() and module.weight.requires_grad):
        return forward(values)
    with torch.autocast("cpu", enabled=False):
        return forward(values.float()).to(values.dtype)
