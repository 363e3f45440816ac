"""Heat that is averaged over views lies where that of the picture does, and holds still where it moves."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

from wbc.heat.cams import ClassActivationMap
from wbc.heat.views import SteadyMap
from wbc.network.backbone import Backbone
from wbc.network.network import Network

SIDE = 96


def network(name="resnet18", standardise=(), side=SIDE) -> Network:
    torch.manual_seed(0)
    return Network(Backbone(name, side), ["a", "b", "c"], standardise=standardise).eval()


def spot(row: int, column: int) -> torch.Tensor:
    """(1, 3, SIDE, SIDE): a bright spot of 12 px on dark ground."""
    image = torch.full((1, 3, SIDE, SIDE), 20, dtype=torch.uint8)
    image[..., row : row + 12, column : column + 12] = 230
    return image


class Brightness:
    """In place of a map: the picture's brightness in places of 32 px of a network for pictures of SIDE."""

    layers = ("input",)
    places_across = 3

    def __init__(self, made: Network) -> None:
        self.network = made
        self.sides: list[int] = []

    def __call__(self, images, targets):
        self.sides.append(images.shape[-1])
        coarse = F.avg_pool2d(images.float().mean(1, keepdim=True), 32)
        return F.interpolate(coarse, size=images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


@pytest.mark.parametrize("standardise", [(), ("size",)])
@pytest.mark.parametrize("views", [3, 8, 16])
def test_heat_is_brought_back_to_where_it_was_seen(standardise, views):
    """A spot off the middle: of eight turns and mirrors, seven would put it elsewhere."""
    heat = SteadyMap(Brightness(network(standardise=standardise)), views)(spot(20, 62), torch.tensor([0]))
    assert heat.shape == (1, SIDE, SIDE)
    weight = heat[0] - heat.amin()
    weight = weight * (weight > weight.max() / 2)
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    assert (weight * rows).sum() / weight.sum() == pytest.approx(26, abs=16)  # half a place
    assert (weight * columns).sum() / weight.sum() == pytest.approx(68, abs=16)


def test_one_view_is_the_map_of_the_picture():
    made, images, targets = network(), spot(20, 62), torch.tensor([1])
    cam = ClassActivationMap(made, "gradcam")
    torch.testing.assert_close(SteadyMap(cam, 1)(images, targets), cam(images, targets))


def test_heat_turns_with_the_picture():
    made, targets = network(), torch.tensor([1, 1, 1, 1])
    images = torch.randint(0, 256, (4, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(3))
    cam = ClassActivationMap(made, "gradcam")

    def unlikeness(heat_of):
        back = torch.rot90(heat_of(torch.rot90(images, 1, (-2, -1)), targets), -1, (-2, -1))
        pairs = zip(back.flatten(1), heat_of(images, targets).flatten(1), strict=True)
        return 1 - np.mean([spearmanr(*pair)[0] for pair in pairs])

    assert unlikeness(SteadyMap(cam, 16)) < unlikeness(cam) / 2


def test_moves_are_spread_over_one_place():
    """A spot in each of 32 columns: the middle of its heat is nearly its own, in spite of the places."""
    errors = {}
    for views in (1, 8):
        centres = []
        for column in range(32, 64):
            heat = SteadyMap(Brightness(network()), views)(spot(42, column), torch.tensor([0]))[0]
            weight = (heat - heat.amin()).sum(0)
            centres.append(float((weight * torch.arange(SIDE)).sum() / weight.sum()) - column - 5.5)
        errors[views] = torch.tensor(centres).abs().max()
    assert errors[8] < errors[1] / 2


def test_only_cells_of_standard_size_are_enlarged():
    plain, standard = Brightness(network()), Brightness(network(standardise=["size"]))
    for heat in (plain, standard):
        SteadyMap(heat)(spot(20, 62), torch.tensor([0]))
    assert set(plain.sides) == {SIDE}
    assert set(standard.sides) == {128}  # 1.4 times 96 px, in whole places


def test_a_network_of_one_size_is_given_that():
    made = network("vit_tiny_patch16_224", ["size"], 224)
    image = torch.randint(0, 256, (1, 3, 224, 224), generator=torch.Generator().manual_seed(0))
    heat = SteadyMap(ClassActivationMap(made, "gradcam"), 2)(image, torch.tensor([0]))
    assert heat.shape == (1, 224, 224)
