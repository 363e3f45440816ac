"""A converted network computes what torch does, or is refused; and is converted only where that pays."""

import importlib.util
import logging
from pathlib import Path

import pytest
import torch

from wbc.answers.predictor import Predictor
from wbc.errors import ConfigError
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.runtime import runtime as module
from wbc.runtime.openvino_engine import OpenVinoEngine
from wbc.runtime.runtime import BOUND, Runtime

MANY = 100_000  # images: a conversion is worth it

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("WBC_CACHE", str(tmp_path))
    return tmp_path / "runtime"


def network(name: str = "tf_efficientnet_lite0") -> Network:
    torch.manual_seed(0)
    return Network(Backbone(name, 64), CLASSES).eval()


def pixels(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 64, 64), generator=torch.Generator().manual_seed(count))


def seconds(monkeypatch, torch_s: float, openvino_s: float) -> None:
    """What a batch takes, so that no test depends on the machine's speed."""

    def timed(compute, batch):
        by_openvino = isinstance(getattr(compute, "__self__", None), OpenVinoEngine)
        return compute(batch), openvino_s if by_openvino else torch_s

    monkeypatch.setattr(module, "_timed", timed)


@needs_openvino
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "vit_tiny_patch16_224"])
@torch.inference_mode()
def test_a_converted_network_agrees_with_torch_for_batches_of_any_size(kept, name):
    one = network(name)
    runtime = Runtime(one, "openvino")
    runtime.expect(9)
    for count in (4, 1, 3, 4):
        images = pixels(count).to(torch.uint8)
        found = one.classify(runtime.values(images))
        torch.testing.assert_close(found, one(images), rtol=0, atol=BOUND)
    assert runtime.name == "openvino"


@needs_openvino
@torch.inference_mode()
def test_parts_of_a_network_follow_each_other(kept):
    one = network()
    count = len(one.backbone.unit_names)
    one.train()
    one.backbone.freeze(0)
    modes = [module.training for module in one.modules()]
    first, second = Runtime(one, "openvino", 0, 12), Runtime(one, "openvino", 12, count)
    for runtime in (first, second):
        runtime.expect(5)
    for images in (pixels(3), pixels(2)):
        found = second.values(first.values(images))
        torch.testing.assert_close(found, one.features(images), rtol=1e-4, atol=1e-4)
    assert (first.name, second.name) == ("openvino", "openvino")
    assert modes == [module.training for module in one.modules()]  # dropout acts on


@needs_openvino
@torch.inference_mode()
def test_one_that_is_off_is_refused_by_name(kept, monkeypatch, caplog):
    right = OpenVinoEngine.values
    monkeypatch.setattr(OpenVinoEngine, "values", lambda self, images: right(self, images) + 0.1)
    one = network()
    runtime = Runtime(one, "openvino")
    runtime.expect(2)
    assert runtime.values(pixels(2)).equal(one.features(pixels(2)))
    assert runtime.name == "torch"
    assert "openvino is off by" in caplog.text


@needs_openvino
@torch.inference_mode()
def test_auto_converts_only_for_long_jobs(kept, monkeypatch):
    seconds(monkeypatch, torch_s=0.1, openvino_s=0.02)
    one = network()
    runtime = Runtime(one, "auto")
    runtime.expect(100)
    runtime.values(pixels(2))
    assert runtime.name == "torch"
    assert not kept.exists()
    runtime.expect(MANY)  # a larger set comes
    runtime.values(pixels(2))
    assert runtime.name == "openvino"


@needs_openvino
@torch.inference_mode()
def test_auto_stays_with_torch_where_that_is_faster(kept, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    seconds(monkeypatch, torch_s=0.1, openvino_s=0.2)
    runtime = Runtime(network(), "auto")
    runtime.expect(MANY)
    runtime.values(pixels(2))
    assert runtime.name == "torch"
    assert "openvino is no faster here" in caplog.text


@needs_openvino
@torch.inference_mode()
def test_a_conversion_is_kept_for_these_weights_alone(kept, monkeypatch):
    one = network()
    images = pixels(2)
    for _ in range(2):
        runtime = Runtime(one, "openvino")
        runtime.expect(2)
        runtime.values(images)
        assert len(list(kept.iterdir())) == 1
        monkeypatch.setattr(module, "convert", lambda part, example, path: pytest.fail("converted again"))
    monkeypatch.undo()
    monkeypatch.setenv("WBC_CACHE", str(kept.parent))
    one.backbone.net.conv_head.weight.data *= 2
    runtime = Runtime(one, "openvino")
    runtime.expect(2)
    torch.testing.assert_close(runtime.values(images), one.features(images), rtol=1e-4, atol=1e-4)
    assert len(list(kept.iterdir())) == 2


@needs_openvino
@torch.inference_mode()
def test_those_used_longest_ago_make_room(kept, monkeypatch):
    monkeypatch.setattr("wbc.runtime.kept._MOST_BYTES", 1)
    for name in ("tf_efficientnet_lite0", "resnet18"):
        runtime = Runtime(network(name), "openvino")
        runtime.expect(1)
        runtime.values(pixels(1))
    assert len(list(kept.iterdir())) == 1


@needs_openvino
@torch.inference_mode()
def test_a_damaged_conversion_leaves_torch_and_is_made_anew(kept, caplog):
    one = network()
    names = []
    for _ in range(3):
        runtime = Runtime(one, "openvino")
        runtime.expect(2)
        assert runtime.values(pixels(2)).shape == (2, 1280)
        names.append(runtime.name)
        for file in kept.glob("*/part.xml"):
            file.write_text("<net")
            break
    assert names == ["openvino", "torch", "openvino"]
    assert "openvino cannot compute this network" in caplog.text


@torch.inference_mode()
def test_without_openvino_torch_computes_and_asking_for_it_says_how(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install openvino, or give runtime=auto"):
        Runtime(network(), "openvino")
    runtime = Runtime(network(), "auto")
    runtime.expect(MANY)
    assert runtime.values(pixels(1)).shape == (1, 1280)
    assert runtime.name == "torch"


@needs_openvino
def test_answers_are_the_same_by_either(kept):
    one = network()
    images = [image.permute(1, 2, 0).numpy() for image in pixels(20).to(torch.uint8)]
    by_torch = Predictor(one).predict(images)
    predictor = Predictor(one).by("openvino")
    found = predictor.predict(images)
    assert predictor.runtime.name == "openvino"
    assert found.labels == by_torch.labels
    torch.testing.assert_close(
        torch.as_tensor(found.probabilities), torch.as_tensor(by_torch.probabilities), rtol=0, atol=1e-4
    )
