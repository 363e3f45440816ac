import csv

import pytest
import timm

from tests.helpers.places import KERAS
from wbc.network.keras_layers import backbone_layers, last_modules


@pytest.mark.parametrize(
    ("keras", "name", "count"),
    [
        ("efficientnetv2_l", "tf_efficientnetv2_l", 1028),
        ("efficientnetv2_s", "tf_efficientnetv2_s", 513),
        ("efficientnet_b0", "tf_efficientnet_b0", 237),
    ],
)
def test_layers_are_those_of_keras_with_its_parameters(keras, name, count):
    net = timm.create_model(name, num_classes=0)
    modules = dict(net.named_modules())
    with (KERAS / f"{keras}_layers.csv").open() as file:
        expected = list(csv.DictReader(file))
    layers = backbone_layers(net)
    assert len(layers) == len(expected) == count
    for layer, row in zip(layers, expected, strict=True):
        if int(row["index"]) >= 2:  # Keras numbers its input and rescaling layers anew for each network made
            assert layer.name == row["name"]
        parameters = sum(p.numel() for p in modules[layer.module].parameters()) if layer.module else 0
        assert parameters == int(row["trainable_parameters"]), layer


def test_last_50_of_efficientnetv2_l_are_the_recipes():
    modules = last_modules(timm.create_model("tf_efficientnetv2_l", num_classes=0), 50)
    stems = {".".join(name.split(".")[:3]) if name.startswith("blocks") else name for name in modules}
    assert stems == {"blocks.6.3", "blocks.6.4", "blocks.6.5", "blocks.6.6", "conv_head", "bn2"}
    assert [name for name in modules if name.startswith("blocks.6.3")] == ["blocks.6.3.drop_path"]


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "mobilenetv3_small_100"]
)
def test_other_families_count_modules_and_cover_every_parameter_once(name):
    net = timm.create_model(name, num_classes=0)
    modules = dict(net.named_modules())
    owned = [p for layer in backbone_layers(net) for p in modules[layer.module].parameters(recurse=False)]
    assert {id(p) for p in owned} == {id(p) for p in net.parameters()}
    assert len(owned) == len(list(net.parameters()))


def test_none_and_more_than_all():
    net = timm.create_model("resnet18", num_classes=0)
    assert last_modules(net, 0) == set()
    assert last_modules(net, 10_000) == {layer.module for layer in backbone_layers(net)}
    with pytest.raises(ValueError, match="-1"):
        last_modules(net, -1)
