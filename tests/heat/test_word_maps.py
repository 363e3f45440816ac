"""Heat for a word lies where the head of its attribute looks, and for another value elsewhere."""

import numpy as np
import pytest
import torch
from torch import nn

from wbc.errors import ConfigError
from wbc.heat.cams import ClassActivationMap
from wbc.heat.views import SteadyMap
from wbc.heat.word_maps import METHODS, WordMap
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.words import CellWords, FittedWords, Word

SIDE = 64


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(Backbone("resnet18", SIDE), ["Basophil", "Monocyte"]).eval()


def fitted(network: Network) -> FittedWords:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((network.backbone.features, 5)).astype(np.float32)
    return FittedWords(
        names=("granules", "nucleus"),
        values=(("pink", "red"), ("bilobed", "kidney", "round")),
        weight=weight,
        bias=np.ones(5, np.float32),
        thresholds=np.array([0.9, 0.9]),
        max_errors=np.array([0.05, 0.05]),
        shares=np.array([0.5, 0.5, 0.4, 0.2, 0.4]),
        class_weight=np.zeros((5, 2)),
        class_bias=np.zeros(2),
    )


def cell(granules: str, nucleus: str) -> CellWords:
    words = Word("granules", granules, 0.95, True), Word("nucleus", nucleus, 0.4, False)
    return CellWords(words, (), (), "Basophil", 0.5)


@pytest.mark.parametrize("method", METHODS)
def test_heat_is_that_of_a_network_whose_head_tells_the_value(network, method):
    """The same network with the words' head in place of its own, and the value as its class."""
    words = fitted(network)
    images = torch.randint(0, 256, (2, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    cells = [cell("red", "kidney"), cell("pink", "round")]
    copy = Network.from_description(network.describe()).eval()
    copy.load_state_dict(network.state_dict())
    head = nn.Linear(network.backbone.features, 3)
    part = torch.from_numpy(words.weight[:, 2:])
    with torch.no_grad():
        head.weight.copy_((part - part.mean(dim=1, keepdim=True)).T)
        head.bias.zero_()
    copy.head = nn.Sequential(head)
    expected = SteadyMap(ClassActivationMap(copy, method))(images, torch.tensor([1, 2]))
    found = WordMap(network, words, "nucleus", method).heat(images, cells)
    assert expected.any()
    torch.testing.assert_close(found, expected)


def test_the_two_values_of_an_attribute_are_told_from_each_other(network):
    images = torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    words = fitted(network)
    mean = network.backbone(images.float())[0].detach().numpy()
    # Undecided of the picture as a whole, so that some places speak for either value.
    words.weight[:] -= np.outer(mean, mean @ words.weight) / (mean @ mean)
    word_map = WordMap(network, words, "granules", views=1)
    red, pink = (word_map.heat(images, [cell(value, "round")])[0].numpy() for value in ("red", "pink"))
    assert red.any()
    assert pink.any()
    assert red.flat[pink.argmax()] == pink.flat[red.argmax()] == 0, "what is for one is against the other"
    assert word_map.word(cell("red", "round")).value == "red"
    assert word_map.name == "granules by gradcam"


def test_an_attribute_that_is_not_told_is_refused_by_name(network):
    with pytest.raises(ConfigError, match="attribute 'lobes': the model tells granules, nucleus"):
        WordMap(network, fitted(network), "lobes")


def test_the_class_keeps_its_head(network):
    images = torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    before = ClassActivationMap(network, "gradcam")(images, torch.tensor([0]))
    WordMap(network, fitted(network), "granules").heat(images, [cell("red", "round")])
    torch.testing.assert_close(ClassActivationMap(network, "gradcam")(images, torch.tensor([0])), before)
