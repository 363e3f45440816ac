import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, ScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from wbc.errors import ConfigError
from wbc.heat.cams import METHODS, ClassActivationMap, places_of
from wbc.network.backbone import Backbone
from wbc.network.network import Network

SIDE = 64
REFERENCES = {
    "gradcam": GradCAM,
    "gradcam++": GradCAMPlusPlus,
    "hirescam": HiResCAM,
    "layercam": LayerCAM,
    "scorecam": ScoreCAM,
}


class WithPreprocessing(torch.nn.Module):
    """The network as one module whose layer can be hooked, with nothing of `wbc.heat.cams` in it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network.classify(self.network.backbone.net(images))


def network(name="resnet18", side=SIDE) -> Network:
    torch.manual_seed(0)
    made = Network(Backbone(name, side), ["a", "b", "c"]).eval()
    for module in made.modules():  # else features of random weights hardly differ between places
        if isinstance(module, torch.nn.BatchNorm2d):
            module.bias.data.normal_()
    return made


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)


def scaled(maps: np.ndarray) -> np.ndarray:
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    return (maps - low) / (1e-7 + high - low)


@pytest.mark.parametrize("method", REFERENCES)
def test_maps_are_the_librarys_own(images, method):
    targets = torch.tensor([2, 0])
    own = network()
    heat = ClassActivationMap(own, method, "layer3.1")(images, targets)
    plain = network()
    library = REFERENCES[method](WithPreprocessing(plain), [plain.backbone.net.layer3[1]])
    values = plain.preprocess(images).requires_grad_()
    expected = library(values, [ClassifierOutputTarget(int(target)) for target in targets])
    assert heat.shape == (2, SIDE, SIDE)
    assert heat.amax() > 0
    # The library scales to 0..1 and enlarges with OpenCV, a last digit apart from torch's bilinear.
    assert np.abs(scaled(heat.numpy()) - expected).max() < 1e-3


def test_eigencam_is_the_librarys_up_to_its_sign(images):
    own = network()
    heat = ClassActivationMap(own, "eigencam", "layer3.1")(images, torch.tensor([0, 0]))
    seen = []
    plain = network()
    handle = plain.backbone.net.layer3[1].register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        plain(images)
    handle.remove()
    library = EigenCAM(WithPreprocessing(plain), [plain.backbone.net.layer3[1]])
    maps = torch.from_numpy(library.get_cam_image(None, None, None, seen[0].numpy(), None, False))
    for one, expected in zip(heat, maps, strict=True):
        both = [
            F.interpolate(sign.clamp(min=0)[None, None], (SIDE, SIDE), mode="bilinear")[0, 0]
            for sign in (expected, -expected)
        ]
        nearest = min(both, key=lambda other: float((other - one).abs().max()))
        assert torch.allclose(one, nearest, atol=1e-3)
        assert expected.abs().max() == pytest.approx(float(one.max()), rel=0.2)  # the larger side is shown


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "vit_tiny_patch16_224"])
@pytest.mark.parametrize("method", [method for method in METHODS if method != "scorecam"])
def test_frozen_networks_of_every_family_are_explained(name, method):
    own = network(name)
    own.backbone.freeze(0)
    own.requires_grad_(False)
    images = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    cam = ClassActivationMap(own, method)
    heat = cam(images, torch.tensor([0, 1]))
    assert heat.shape == (2, SIDE, SIDE)
    assert heat.isfinite().all()
    assert heat.amin() >= 0
    assert heat.amax() > 0
    assert cam.layers == {
        "tf_efficientnet_lite0": ["top"],
        "resnet18": ["layer4.1"],
        "vit_tiny_patch16_224": ["blocks.11.norm1"],
    }.get(name)


def test_scorecam_takes_its_many_passes_where_it_is_told(images):
    own, passes = network(), []

    def classify(pixels):
        passes.append(len(pixels))
        assert pixels.amin() > -0.01  # of 0..255, not scaled for the network
        return own(pixels)

    images, targets = images[:1], torch.tensor([2])
    heat = ClassActivationMap(own, "scorecam", classify=classify)(images, targets)
    torch.testing.assert_close(
        heat, ClassActivationMap(own, "scorecam")(images, targets), rtol=1e-3, atol=1e-5
    )
    assert sum(passes) == 512  # channels of resnet18's last map


@pytest.mark.parametrize("name", ["convnext_atto", "swin_tiny_patch4_window7_224"])
def test_a_family_that_is_not_listed_is_explained_at_its_feature_map(name):
    own = network(name, 64 if name.startswith("conv") else 224)
    side = own.image_size_px
    cam = ClassActivationMap(own, "gradcam")
    heat = cam(torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8), torch.tensor([0]))
    assert cam.layers == ["features"]
    assert heat.shape == (1, side, side)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "tf_efficientnet_lite0"])
def test_maps_are_upright(name):
    """Only the patch in one corner differs from grey, so that only features there differ."""
    own = network(name, 224)
    images = torch.full((1, 3, 224, 224), 124, dtype=torch.uint8)
    images[:, :, :64, 160:] = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    heat = ClassActivationMap(own, "eigencam")(images, torch.tensor([0]))[0]
    row, column = divmod(int(heat.argmax()), 224)
    assert row < 112 <= column


def test_each_image_of_a_batch_gets_the_map_it_gets_alone(images):
    cam = ClassActivationMap(network(), "gradcam++", "fused")
    together = cam(images, torch.tensor([2, 0]))
    alone = torch.cat([cam(images[:1], torch.tensor([2])), cam(images[1:], torch.tensor([0]))])
    assert torch.allclose(together, alone, atol=1e-4)


def test_targets_differ_in_their_maps(images):
    cam = ClassActivationMap(network(), "hirescam")
    assert not torch.allclose(cam(images, torch.tensor([0, 0])), cam(images, torch.tensor([1, 1])))


def test_fused_takes_the_last_layer_of_each_of_the_coarsest_resolutions():
    cam = ClassActivationMap(network("tf_efficientnet_lite0"), "layercam", "fused")
    assert cam.layers == ["blocks.2.1", "blocks.4.2", "top"]


def test_heat_that_one_layer_denies_is_none_in_fused(images):
    own = network()
    fused = ClassActivationMap(own, "layercam", "fused")(images, torch.tensor([0, 0]))
    coarse = ClassActivationMap(own, "layercam", "layer4.1")(images, torch.tensor([0, 0]))
    assert (fused[coarse == 0] == 0).all()
    assert fused.amax() <= 1


def test_a_class_that_nothing_speaks_for_has_no_heat(images):
    own = network()
    torch.nn.init.zeros_(own.head.kernels[-1].weight)
    assert not ClassActivationMap(own, "gradcam")(images, torch.tensor([0, 1])).any()


@pytest.mark.parametrize(
    ("method", "layer", "complaint"),
    [
        ("shap", "last", "shap"),
        ("gradcam", "layer9", "layer4.1"),
        ("gradcam", "pool", "pool"),
    ],
)
def test_unknown_methods_and_layers_are_refused_by_name(method, layer, complaint):
    with pytest.raises(ConfigError, match=complaint):
        ClassActivationMap(network(), method, layer)


def test_fused_is_refused_where_all_maps_have_one_resolution():
    with pytest.raises(ConfigError, match="14 x 14"):
        ClassActivationMap(network("vit_tiny_patch16_224", 224), "gradcam", "fused")


def test_places_are_named_with_their_resolution():
    places = {place.name: place.shape for place in places_of(network("tf_efficientnet_lite0", 224))}
    assert places["stem"] == (112, 112)  # more places a side than channels
    assert places["blocks.1.0"] == (56, 56)
    assert places["top"] == (7, 7)
    assert "pool" not in places


def test_a_network_whose_layers_are_not_known_is_refused():
    with pytest.raises(ConfigError, match=r"methods=\[lime\]"):
        ClassActivationMap(network("deit_tiny_distilled_patch16_224", 224), "gradcam")


def test_explaining_leaves_no_hook_behind():
    own = network("vit_tiny_patch16_224")
    ClassActivationMap(own, "gradcam")(torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8), torch.tensor([0]))
    assert not any(module._forward_hooks for module in own.modules())
