"""A converted network computes what torch does, or is refused; and is converted only for many images."""

import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers.places import ROOT
from wbc.answers.predictor import Predictor
from wbc.errors import ConfigError
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.runtime import runtime as module
from wbc.runtime.kept import make_room
from wbc.runtime.openvino_engine import OpenVinoEngine
from wbc.runtime.runtime import BF16_BOUND, BOUND, Runtime

MANY = 1_000  # images, from which `auto` converts

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)


def network(name: str = "tf_efficientnet_lite0") -> Network:
    torch.manual_seed(0)
    return Network(Backbone(name, 64), CLASSES).eval()


def pixels(count: int) -> torch.Tensor:
    images = torch.randint(0, 256, (count, 3, 64, 64), generator=torch.Generator().manual_seed(count))
    return images.to(torch.uint8)


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """Where conversions are kept; none is."""
    monkeypatch.setenv("WBC_CACHE", str(tmp_path))
    return tmp_path / "runtime"


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> Path:
    """The conversion of `network()`, which takes seconds."""
    folder = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WBC_CACHE", str(folder))
        runtime = Runtime(network(), "openvino")
        runtime.expect(1)
        runtime.values(pixels(4))
    return folder / "runtime"


@pytest.fixture
def kept(empty, once) -> Path:
    shutil.copytree(once, empty)
    return empty


def seconds(monkeypatch, torch_s: float, openvino_s: float) -> None:
    """What a batch takes, so that no test depends on the machine's speed."""

    def told(compute, batch):
        return openvino_s if isinstance(getattr(compute, "__self__", None), OpenVinoEngine) else torch_s

    monkeypatch.setattr(module, "_seconds", told)


@needs_openvino
@pytest.mark.skipif(not Path("/proc/self/task").exists() or os.cpu_count() == 1, reason="Linux, two cores")
def test_no_thread_is_bound_to_a_core(kept):
    """Bound to one that another program holds, a thread waits while the next core is free."""
    wanted = os.sched_getaffinity(0)
    engine = OpenVinoEngine(next(kept.rglob("*.xml")), threads=2)
    for _ in range(8):  # so many that both threads have had to work
        engine.values(pixels(64))
    for task in Path("/proc/self/task").iterdir():
        assert os.sched_getaffinity(int(task.name)) == wanted


def agrees(one: Network) -> None:
    runtime = Runtime(one, "openvino")
    runtime.expect(9)
    for count in (4, 1, 3, 4):
        found = one.classify(runtime.values(pixels(count)))
        torch.testing.assert_close(found, one(pixels(count)), rtol=0, atol=BOUND)
    assert runtime.name == "openvino"


@needs_openvino
@torch.inference_mode()
def test_a_converted_network_agrees_with_torch_for_batches_of_any_size(kept):
    agrees(network())


@needs_openvino
@torch.inference_mode()
def test_a_transformer_does_too(empty):
    agrees(network("vit_tiny_patch16_224"))


@needs_openvino
@torch.inference_mode()
def test_parts_of_a_network_follow_each_other(empty):
    one = network()
    count = len(one.backbone.unit_names)
    one.train()
    one.backbone.freeze(0)
    modes = [part.training for part in one.modules()]
    first, second = Runtime(one, "openvino", 0, 12), Runtime(one, "openvino", 12, count)
    for runtime in (first, second):
        runtime.expect(5)
    for images in (pixels(3), pixels(2)):
        found = second.values(first.values(images))
        torch.testing.assert_close(found, one.features(images), rtol=1e-4, atol=1e-4)
    assert (first.name, second.name) == ("openvino", "openvino")
    assert modes == [part.training for part in one.modules()]  # dropout acts on


def in_bf16(one: Network) -> Runtime:
    runtime = Runtime(one, "openvino", 0, 12, bf16=True)
    runtime.expect(4)
    return runtime


@needs_openvino
@torch.no_grad()
def test_in_bf16_it_is_as_near_to_float32_as_torch(empty):
    one = network()
    exact, runtime = one.backbone.run_units(one.preprocess(pixels(4)), 0, 12), in_bf16(one)
    with torch.autocast("cpu", torch.bfloat16):
        by_torch = one.backbone.run_units(one.preprocess(pixels(4)), 0, 12)
        found = [runtime.values(pixels(4)) for _ in range(2)]
    assert runtime.name == "openvino"
    for values in found:
        assert values.dtype == by_torch.dtype == torch.bfloat16
        assert (values - exact).norm() < BF16_BOUND * (by_torch - exact).norm()
    # The file that was made meanwhile holds nothing of bf16.
    kept_one = Runtime(one, "openvino", 0, 12)
    kept_one.expect(4)
    torch.testing.assert_close(kept_one.values(pixels(4)), exact, rtol=1e-4, atol=1e-4)
    assert kept_one.name == "openvino"


@needs_openvino
@torch.no_grad()
def test_in_bf16_one_that_is_further_off_is_refused_by_name(empty, monkeypatch, caplog):
    right = OpenVinoEngine.values
    monkeypatch.setattr(OpenVinoEngine, "values", lambda self, images: 1.1 * right(self, images))
    runtime = in_bf16(network())
    with torch.autocast("cpu", torch.bfloat16):
        runtime.values(pixels(4))
    assert runtime.name == "torch"
    assert "openvino is off by" in caplog.text


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
def test_auto_converts_for_many_images_alone(kept, monkeypatch):
    seconds(monkeypatch, torch_s=0.1, openvino_s=0.02)
    runtime = Runtime(network(), "auto")
    runtime.expect(MANY - 1)
    runtime.values(pixels(2))
    assert runtime.name == "torch"
    runtime.expect(MANY)  # a larger set comes
    runtime.values(pixels(2))
    assert runtime.name == "openvino"


@needs_openvino
@torch.inference_mode()
def test_auto_stays_with_torch_where_that_was_faster_once(kept, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    for openvino_s in (0.2, 0.01):
        seconds(monkeypatch, torch_s=0.1, openvino_s=openvino_s)
        runtime = Runtime(network(), "auto")
        runtime.expect(MANY)
        runtime.values(pixels(2))
        assert runtime.name == "torch"
    assert caplog.text.count("openvino is no faster here") == 1


@needs_openvino
@torch.inference_mode()
def test_a_conversion_is_kept_for_these_weights_alone(kept, monkeypatch):
    converted = []

    def convert(part, example, path):
        converted.append(path)
        raise RuntimeError("not here")

    monkeypatch.setattr(module, "convert", convert)
    one = network()
    for changed in (False, True):
        if changed:
            one.backbone.net.conv_head.weight.data *= 2
        runtime = Runtime(one, "openvino")
        runtime.expect(2)
        runtime.values(pixels(2))
        assert len(converted) == changed
    assert converted[0].parent.parent == kept


def test_those_used_longest_ago_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr("wbc.runtime.kept._MOST_BYTES", 25)
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "part.bin").write_bytes(b"0123456789")
        os.utime(tmp_path / str(number), (number, number))
    make_room(tmp_path / "0" / "part.xml")  # the one that was just made
    assert sorted(one.name for one in tmp_path.iterdir()) == ["0", "2", "3"]


@needs_openvino
@torch.inference_mode()
def test_a_damaged_conversion_leaves_torch_and_is_made_anew(kept, caplog):
    (file,) = kept.glob("*/part.xml")
    file.write_text("<net")
    names = []
    for _ in range(2):
        runtime = Runtime(network(), "openvino")
        runtime.expect(2)
        assert runtime.values(pixels(2)).shape == (2, 1280)
        names.append(runtime.name)
    assert names == ["torch", "openvino"]
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
    images = [image.permute(1, 2, 0).numpy() for image in pixels(20)]
    by_torch = Predictor(one).predict(images)
    predictor = Predictor(one).by("openvino")
    found = predictor.predict(images)
    assert predictor.runtime.name == "openvino"
    assert found.labels == by_torch.labels
    torch.testing.assert_close(
        torch.as_tensor(found.probabilities), torch.as_tensor(by_torch.probabilities), rtol=0, atol=1e-4
    )


@needs_openvino
def test_a_conversion_tells_nobody(empty, monkeypatch):
    def told(*arguments, **options):
        raise AssertionError("OpenVINO's telemetry was called")

    for name in ("__init__", "send_event", "start_session", "end_session"):
        monkeypatch.setattr(f"openvino_telemetry.Telemetry.{name}", told)
    runtime = Runtime(network(), "openvino")
    runtime.expect(1)
    runtime.values(pixels(2))
    assert runtime.name == "openvino"


@needs_openvino
def test_a_signal_after_several_networks_is_heeded(kept):
    """Each of OpenVINO's cores has a stack for signals, and they were given back in the wrong order."""
    (part,) = kept.glob("*/part.xml")
    code = (
        "import os, pathlib, signal, sys; from wbc.runtime.openvino_engine import OpenVinoEngine; "
        "one, other = (OpenVinoEngine(pathlib.Path(sys.argv[1]), 1) for _ in range(2)); del one; del other; "
        "signal.signal(signal.SIGTERM, lambda *of: print('heeded')); os.kill(os.getpid(), signal.SIGTERM)"
    )
    command = [sys.executable, "-X", "faulthandler", "-c", code, part]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heeded\n"), done.stderr
