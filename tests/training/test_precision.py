import pytest
import torch
from torch import nn

from wbc.errors import ConfigError
from wbc.network.backbone import Backbone
from wbc.network.depthwise import train_slow_depthwise_in_float32
from wbc.network.network import Network
from wbc.training.precision import faster_precision, forward_ms, resolve_precision


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_precision_that_is_asked_for_is_kept(precision):
    assert resolve_precision(precision, "cpu") == precision


@pytest.mark.parametrize("fast", [True, False])
def test_auto_follows_the_processor(monkeypatch, fast):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast)
    assert resolve_precision("auto", "cpu") == ("bf16-mixed" if fast else "32-true")


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (9, 0)])
def test_auto_follows_the_gpu(monkeypatch, capability):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert resolve_precision("auto", "auto") == ("bf16-mixed" if capability[0] >= 8 else "32-true")


@pytest.mark.parametrize("precision", ["bf16-true", "64-true", "half"])
def test_precisions_in_which_weights_would_not_be_float32_are_refused(precision):
    with pytest.raises(ConfigError, match=precision):
        resolve_precision(precision, "cpu")


def gradient(convolution: nn.Conv2d, values: torch.Tensor, bf16: bool) -> torch.Tensor:
    convolution.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        convolution(values).float().square().sum().backward()
    assert convolution.weight.grad is not None
    return convolution.weight.grad.clone()


@pytest.mark.parametrize(("kernel", "stride", "changed"), [(5, 1, True), (3, 2, True), (3, 1, False)])
def test_slow_depthwise_convolutions_train_in_float32(kernel, stride, changed):
    torch.manual_seed(0)
    convolution = nn.Conv2d(8, 8, kernel, stride, groups=8)
    values = torch.randn(2, 8, 12, 12).bfloat16().float()
    plain = {bf16: gradient(convolution, values, bf16) for bf16 in (True, False)}
    train_slow_depthwise_in_float32(convolution)
    mixed = gradient(convolution, values, bf16=True)
    error, plain_error = (mixed - plain[False]).abs().max(), (plain[True] - plain[False]).abs().max()
    assert torch.equal(mixed, plain[True]) != changed
    assert (error < plain_error) == changed
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert convolution(values).dtype == torch.bfloat16  # evaluation keeps the faster forward pass


def test_bf16_is_left_only_where_float32_is_clearly_faster():
    assert faster_precision({"bf16-mixed": 100.0, "32-true": 160.0}) == "bf16-mixed"
    assert faster_precision({"bf16-mixed": 100.0, "32-true": 95.0}) == "bf16-mixed"  # noise
    assert faster_precision({"bf16-mixed": 216.0, "32-true": 153.0}) == "32-true"


def test_timing_the_network_leaves_it_as_it_was():
    network = Network(Backbone("tf_efficientnet_lite0", 64), ["a", "b"])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    milliseconds = forward_ms(network, batch_size=2, rounds=1)
    assert set(milliseconds) == {"bf16-mixed", "32-true"}
    assert min(milliseconds.values()) > 0
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
