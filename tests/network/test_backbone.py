import copy

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from wbc.errors import ConfigError
from wbc.network.backbone import Backbone

FAMILIES = ["tf_efficientnet_lite0", "resnet18", "vit_tiny_patch16_224", "convnext_atto"]


def small(name: str, **options) -> Backbone:
    return Backbone(name, 224 if "vit" in name else 64, **options)


def images(backbone: Backbone, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, backbone.image_size_px, backbone.image_size_px)


@pytest.fixture(scope="module")
def efficientnetv2_l() -> Backbone:
    return Backbone("tf_efficientnetv2_l.in1k")


@pytest.mark.parametrize(
    ("unfreeze_last", "train_batch_norm", "trainable"),
    [(0, True, 0), (50, True, 19_419_360), (50, False, 19_366_880), (1028, True, 117_234_272)],
)
def test_efficientnetv2_l_trains_as_many_parameters_as_in_keras(
    efficientnetv2_l, unfreeze_last, train_batch_norm, trainable
):
    efficientnetv2_l.freeze(unfreeze_last, train_batch_norm)
    assert sum(p.numel() for p in efficientnetv2_l.parameters() if p.requires_grad) == trainable


def test_efficientnetv2_l_is_split_before_block_6_4(efficientnetv2_l):
    efficientnetv2_l.freeze(50)
    assert efficientnetv2_l.frozen_units[-1] == "blocks.6.3"
    trainable = {name for name, p in efficientnetv2_l.net.named_parameters() if p.requires_grad}
    expected = ("blocks.6.4.", "blocks.6.5.", "blocks.6.6.", "conv_head.", "bn2.")
    assert trainable == {n for n, _ in efficientnetv2_l.net.named_parameters() if n.startswith(expected)}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("unfreeze_last", [0, 20, 10_000])
def test_the_chain_of_units_computes_what_timm_computes(name, unfreeze_last):
    backbone = small(name).eval()
    backbone.freeze(unfreeze_last)
    x = images(backbone)
    with torch.no_grad():
        assert torch.equal(backbone(x), backbone.net(x))
        assert backbone(x).shape == (2, backbone.features)


@pytest.mark.parametrize("name", FAMILIES[:3])
@pytest.mark.parametrize(("unfreeze_last", "train_batch_norm"), [(0, True), (20, True), (20, False)])
def test_a_training_step_moves_what_is_unfrozen_and_nothing_else(name, unfreeze_last, train_batch_norm):
    torch.manual_seed(0)
    backbone = small(name)
    backbone.freeze(unfreeze_last, train_batch_norm)
    backbone.train()
    head = torch.nn.Linear(backbone.features, 2)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    moving = {name for name, p in backbone.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD(
        [*head.parameters(), *(p for p in backbone.parameters() if p.requires_grad)], 0.1
    )
    head(backbone(images(backbone))).square().sum().backward()
    assert {name for name, p in backbone.named_parameters() if p.grad is not None} == moving
    optimizer.step()
    parameters = dict(backbone.named_parameters())
    norms = {name for name, m in backbone.named_modules() if isinstance(m, _BatchNorm)}
    for key, value in backbone.state_dict().items():
        owner, _, kind = key.rpartition(".")
        if owner in norms and kind in ("running_mean", "running_var", "num_batches_tracked"):
            should_move = f"{owner}.weight" in moving
        else:
            # Some of timm's networks start branches at zero: no gradient comes through in the first step.
            parameter = parameters.get(key)
            should_move = parameter is not None and parameter.grad is not None and bool(parameter.grad.any())
        assert torch.equal(value, before[key]) != should_move, key


def test_frozen_modules_stay_in_inference_mode():
    backbone = small("tf_efficientnet_lite0", drop_path_rate=0.2)
    backbone.freeze(20, train_batch_norm=True)
    for _ in range(2):
        backbone.eval()
        backbone.train()
    training = {
        name
        for name, module in backbone.net.named_modules()
        if module.training and not list(module.children())
    }
    assert any(name.startswith("blocks.6.0") for name in training)
    assert {name.split(".")[1] for name in training if name.startswith("blocks.")} <= {"5", "6"}
    assert not backbone.net.bn1.training


def test_the_frozen_part_builds_no_graph():
    backbone = small("tf_efficientnet_lite0")
    backbone.freeze(20)
    x = images(backbone).requires_grad_()
    values = backbone.frozen_part(x)
    assert values.grad_fn is None
    assert backbone.trainable_part(values).grad_fn is not None


def test_stochastic_depth_acts_in_unfrozen_blocks_only():
    backbone = small("tf_efficientnet_lite0", drop_path_rate=0.9)
    backbone.freeze(0)
    backbone.train()
    x = images(backbone)
    assert torch.equal(backbone(x), backbone(x))
    backbone.freeze(60, train_batch_norm=False)
    assert not torch.equal(backbone(x), backbone(x))


def test_unknown_network_names_near_ones():
    with pytest.raises(ConfigError, match=r"resnet19.*model\.backbone|model\.backbone='resnet19'"):
        Backbone("resnet19")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("unit", [0, -1])  # stem and top are joined of several modules
def test_a_copy_computes_with_its_own_weights(name, unit):
    original = small(name).eval()
    values = images(original)
    copied = copy.deepcopy(original)
    owned = [parameters for _, parameters in copied.unit_parameters if parameters][unit]
    with torch.no_grad():
        before = original(values)
        assert torch.equal(copied(values), before)
        for parameter in owned:
            parameter.add_(0.5)
        assert not torch.allclose(copied(values), before)
        assert torch.equal(original(values), before)
