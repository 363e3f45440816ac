import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from wbc.heat.randomisation import backbone_stages, cascade, likeness
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network

LITE0_STAGES = ["head", "top", *(f"blocks.{i}" for i in range(6, -1, -1)), "stem"]
EDGES = np.random.default_rng(0).random((2, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> Network:
    """Every parameter varies, as after training."""
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 32), CLASSES, head_units=(8,))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    network.backbone.freeze(20)
    return network.train()


def snapshot(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def changed(before, after):
    return {key for key in before if not torch.equal(before[key], after[key])}


def stage_of(key):
    names = {"head": "head", "backbone.net.conv_head": "top", "backbone.net.bn2": "top"}
    names |= {"backbone.net.conv_stem": "stem", "backbone.net.bn1": "stem"}
    names |= {f"backbone.net.blocks.{i}": f"blocks.{i}" for i in range(7)}
    return next(stage for prefix, stage in names.items() if key.startswith(f"{prefix}."))


def test_the_cascade_forgets_stage_by_stage_and_leaves_the_network_alone(network):
    before = snapshot(network)
    gradients = [p.requires_grad for p in network.parameters()]
    seen = []

    def explain(copy):
        assert copy is not network
        assert not any(module.training for module in copy.modules())
        assert all(p.requires_grad for p in copy.parameters())
        seen.append(snapshot(copy))
        return EDGES

    frame = cascade(network, explain)
    parameters = {name for name, _ in network.named_parameters()}
    assert not changed(before, seen[0])
    assert len(seen) == 1 + len(LITE0_STAGES)
    for stage, (earlier, later) in zip(LITE0_STAGES, pairwise(seen), strict=True):
        assert changed(earlier, later) == {name for name in parameters if stage_of(name) == stage}
    assert not changed(before, network.state_dict())
    assert [p.requires_grad for p in network.parameters()] == gradients
    assert network.training

    assert frame["stage"].tolist() == [stage for stage in LITE0_STAGES for _ in range(2)]
    assert frame["image"].tolist() == [0, 1] * len(LITE0_STAGES)
    # Maps that do not ask the network stay what they are.
    assert frame["rank_correlation"].to_numpy() == pytest.approx(1)
    assert frame["ssim"].to_numpy() == pytest.approx(1)


def test_redrawn_tensors_keep_mean_and_spread_and_no_order(network):
    seen = []
    cascade(network, lambda copy: (seen.append(snapshot(copy)), EDGES)[1])
    large = [name for name, p in network.named_parameters() if p.numel() > 500]
    assert len(large) > 40
    for name in large:
        old, new = seen[0][name].flatten(), seen[-1][name].flatten()
        error = float(old.std()) / math.sqrt(old.numel())
        assert float(new.mean()) == pytest.approx(float(old.mean()), abs=5 * error)
        assert float(new.std()) == pytest.approx(float(old.std()), rel=5 / math.sqrt(old.numel()))
        assert abs(np.corrcoef(old, new)[0, 1]) < 5 / math.sqrt(old.numel())


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "vit_tiny_patch16_224"])
def test_the_randomised_weights_are_those_that_compute(name):
    """In a copy.deepcopy of the network, stem and top kept computing with the weights of the original."""
    size = 224 if "vit" in name else 32
    network = Network(Backbone(name, size), CLASSES, head_units=())
    images = torch.randint(0, 256, (2, 3, size, size))

    @torch.no_grad()
    def explain(copy):
        logits = copy.head(copy.backbone.net(copy.preprocess(images)))  # by timm's own forward
        torch.testing.assert_close(copy(images), logits)
        return EDGES

    cascade(network, explain)


def test_maps_of_the_network_lose_their_likeness(network):
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0))

    def gradients(copy):
        inputs = copy.preprocess(images).requires_grad_()
        logits = copy.classify(copy.backbone(inputs))
        return torch.autograd.grad(logits[:, 0].sum(), inputs)[0].abs().sum(1).numpy()

    frame = cascade(network, gradients, seed=1)
    # Not to zero: strides draw the same pattern into the gradient of any weights.
    assert (frame["rank_correlation"] < 0.7).all()
    assert (frame["ssim"] < 0.6).all()
    assert frame.equals(cascade(network, gradients, seed=1))
    assert not frame.equals(cascade(network, gradients, seed=2))


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("tf_efficientnet_lite0", [*reversed(LITE0_STAGES[1:])]),
        ("resnet18", ["stem", "layer1", "layer2", "layer3", "layer4"]),
        (
            "vit_tiny_patch16_224",
            [
                "embed to blocks.0",
                *(f"blocks.{i} to blocks.{i + 1}" for i in range(1, 11, 2)),
                "blocks.11 to top",
            ],
        ),
    ],
)
def test_stages_are_few_and_hold_every_parameter_once(name, names):
    backbone = Backbone(name, 224)
    stages = backbone_stages(backbone)
    assert [stage.name for stage in stages] == names
    held = [id(parameter) for stage in stages for parameter in stage.parameters]
    assert sorted(held) == sorted(id(parameter) for parameter in backbone.parameters())


def test_a_backbone_of_one_unit_is_one_stage():
    backbone = Backbone("convnext_atto", 64)
    stages = backbone_stages(backbone)
    assert len(stages) == 1
    assert len(stages[0].parameters) == len(list(backbone.parameters()))


def test_likeness_of_maps_with_known_ranks():
    assert likeness(EDGES[0], 9 * EDGES[0]) == pytest.approx((1, 1))  # scale does not count
    assert likeness(EDGES[0], EDGES[0] ** 3)[0] == pytest.approx(1)  # ranks alone
    assert likeness(EDGES[0], 1 - EDGES[0])[0] == pytest.approx(-1)
    ranks, structure = likeness(EDGES[0], EDGES[1])
    by_rank = np.corrcoef(stats.rankdata(EDGES[0]), stats.rankdata(EDGES[1]))[0, 1]
    assert ranks == pytest.approx(by_rank)
    assert structure < 0.3


def test_constant_maps_are_unlike_anything():
    blank = np.zeros_like(EDGES[0])
    ranks, structure = likeness(EDGES[0], blank)
    assert ranks == 0
    assert 0 <= structure < 0.1
    assert likeness(EDGES[0], blank + 2)[0] == 0
    assert all(math.isnan(value) for value in likeness(blank, EDGES[0]))
    assert all(math.isnan(value) for value in likeness(blank, blank))
