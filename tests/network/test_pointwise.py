"""Large 1x1 convolutions train as products of matrices in bf16, and nothing else changes."""

import pytest
import torch
from torch import nn

from wbc.network.pointwise import train_pointwise_as_products


def step(convolution: nn.Conv2d, values: torch.Tensor, bf16: bool) -> list[torch.Tensor]:
    """Result, and gradients of input, kernel and bias."""
    values = values.clone().requires_grad_()
    convolution.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        result = convolution(values)
    (result.float() ** 2).sum().backward()
    return [result, values.grad, convolution.weight.grad, convolution.bias.grad]


@pytest.fixture
def pair() -> tuple[nn.Conv2d, nn.Conv2d, torch.Tensor]:
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(nn.Conv2d(640, 800, 1).to(memory_format=torch.channels_last))
    train_pointwise_as_products(made[1])
    values = torch.randn(4, 640, 7, 7, generator=torch.Generator().manual_seed(1))
    return made[0], made[1], values.to(memory_format=torch.channels_last)


def products(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A list that grows with each product of matrices."""
    seen: list[object] = []
    real = torch.nn.functional.linear
    monkeypatch.setattr(torch.nn.functional, "linear", lambda *given: (seen.append(1), real(*given))[1])
    return seen


def test_a_product_is_the_convolution_but_for_rounding(pair, monkeypatch):
    plain, changed, values = pair
    seen = products(monkeypatch)
    expected, found = step(plain, values, bf16=True), step(changed, values, bf16=True)
    assert seen
    for one, other in zip(expected, found, strict=True):
        assert other.shape == one.shape
        assert other.dtype == one.dtype
        assert torch.allclose(one.float(), other.float(), rtol=0.02, atol=0.02 * one.abs().max().item())
    assert found[0].is_contiguous(memory_format=torch.channels_last)


def test_float32_and_passes_without_gradient_are_left_as_they_are(pair, monkeypatch):
    plain, changed, values = pair
    seen = products(monkeypatch)
    for one, other in zip(step(plain, values, bf16=False), step(changed, values, bf16=False), strict=True):
        assert torch.equal(one, other)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plain(values), changed(values))
    assert not seen


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(800, 800, 3),
        nn.Conv2d(800, 800, 1, stride=2),
        nn.Conv2d(800, 800, 1, padding=1),
        nn.Conv2d(1600, 1600, 1, groups=2),
        nn.Conv2d(320, 1280, 1),
    ],
    ids=["kernel", "stride", "padding", "groups", "smaller"],
)
def test_others_are_left_as_they_are(convolution):
    train_pointwise_as_products(convolution)
    assert "forward" not in vars(convolution)
