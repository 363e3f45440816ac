"""Files of Keras: read as data, mapped layer by layer, refused by name; and what is written for Keras."""

import copy
import gzip
import importlib
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from tests.helpers.commands import typed
from tests.helpers.places import KERAS, ROOT
from tests.helpers.small_runs import SMALL, settings
from wbc.errors import CheckpointError, ConfigError
from wbc.exporting.keras_folder import write_keras_folder
from wbc.network.backbone import Backbone
from wbc.network.keras_file import is_keras, read_keras
from wbc.network.keras_weights import backbone_weights, load_keras
from wbc.network.network import Network
from wbc.training.starting_network import starting_network

h5py = pytest.importorskip("h5py", reason="h5py not installed")

UNITS = [16, 8]
CLASSES = [f"class_{number}" for number in range(5)]
FORMS = ("model.keras", "model.h5", "model.weights.h5")
STRUCTURES = ("flat", "nested")


def network_of(name="tf_efficientnet_b0", size_px=64, units=UNITS, classes=CLASSES):
    return Network(Backbone(name, size_px), classes, units)


@pytest.fixture(scope="module")
def layouts():
    """What files of EfficientNetB0 hold, as `tests/keras/keras_side.py layouts` wrote it."""
    return json.loads(gzip.decompress((KERAS / "efficientnet_b0_files.json.gz").read_bytes()))


class Drawn:
    """A file as Keras writes it, with random arrays, kernels small; `change` may alter what is written."""

    def __init__(self, layouts, folder, structure, form, change=None):
        self.told = copy.deepcopy(layouts[structure])
        if change is not None:
            change(self.told, self.told[form])
        self.path = folder / form
        self.arrays = {}
        inside = folder / "inside.h5" if form == "model.keras" else self.path
        self._write(inside, self.told[form])
        if form == "model.keras":
            with zipfile.ZipFile(self.path, "w") as archive:
                archive.writestr("config.json", self.told["config"])
                archive.write(inside, "model.weights.h5")

    def _write(self, path, layout):
        rng = np.random.default_rng(0)
        with h5py.File(path, "w") as file:
            for place, shape in layout["shapes"].items():
                whole = place.endswith("/count") or (not shape and "normalization/" in place)
                drawn = rng.normal(0, 0.05, shape) if len(shape) > 1 else rng.uniform(0.1, 1, shape)
                array = np.array(1) if whole else drawn.astype(np.float32)
                self.arrays[place] = array
                file.create_dataset(place, data=array)
            for place, attributes in layout["attributes"].items():
                for name, value in attributes.items():
                    kept = [one.encode() for one in value] if isinstance(value, list) else value
                    file.require_group(place).attrs[name] = kept


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_array_comes_to_its_place(layouts, tmp_path, structure, form):
    drawn = Drawn(layouts, tmp_path, structure, form)
    network = network_of()
    load_keras(network, read_keras(drawn.path))
    state = network.state_dict()
    if form == "model.h5":  # whose paths have the names of layers
        named = {tuple(place.split("/")[-2:]): array for place, array in drawn.arrays.items()}
        for weight in backbone_weights(network):
            expected = named[weight.layer, weight.role]
            np.testing.assert_array_equal(weight.to_keras(state[weight.ours]), expected)
        kernel = named["stem_conv", "kernel"]  # by hand, once
        np.testing.assert_array_equal(
            state["backbone.net.conv_stem.weight"].numpy(), kernel.transpose(3, 2, 0, 1)
        )
        depthwise = named["block1a_dwconv", "kernel"]
        np.testing.assert_array_equal(
            state["backbone.net.blocks.0.0.conv_dw.weight"].numpy(), depthwise.transpose(2, 3, 0, 1)
        )
    used = [array for place, array in drawn.arrays.items() if array.size > 16]
    assert sum(array.sum(dtype=np.float64) for array in used) == pytest.approx(
        sum(
            float(value.double().sum())
            for name, value in state.items()
            if value.numel() > 16 and "num_batches" not in name
        ),
        rel=1e-9,
    )
    mean, variance = (_of_pixels(drawn.arrays, *which) for which in ((0, "mean"), (1, "variance")))
    np.testing.assert_allclose(network.mean.flatten() / 255, mean.flatten(), rtol=1e-6)
    np.testing.assert_allclose(network.std.flatten() / 255, np.sqrt(variance.flatten()), rtol=1e-6)


def _of_pixels(arrays, number, role):
    """Of the layer that scales pixels."""
    ends = (f"/normalization/vars/{number}", f"/normalization/{role}", f"/normalization_1/{role}")
    return next(array for place, array in arrays.items() if place.endswith(ends))


def test_what_is_written_lies_where_keras_writes_it_and_comes_back_the_same(layouts, tmp_path):
    torch.manual_seed(0)
    network = network_of()
    network.mean, network.std = network.mean + 1, network.std * 2
    write_keras_folder(network, tmp_path)
    written = {}
    with h5py.File(tmp_path / "model.weights.h5") as file:
        file.visititems(
            lambda place, item: written.update({place: list(item.shape)} if "/vars/" in place else {})
        )
    assert written == layouts["nested"]["model.weights.h5"]["shapes"]
    back = network_of()
    load_keras(back, read_keras(tmp_path / "model.weights.h5"))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], value, rtol=0, atol=0)
    torch.testing.assert_close(back.mean, network.mean)
    torch.testing.assert_close(back.std, network.std)


def test_with_weights_alone_of_imagenet_the_second_division_of_keras_is_known(layouts, tmp_path):
    drawn = Drawn(layouts, tmp_path, "flat", "model.weights.h5")
    with h5py.File(drawn.path, "a") as file:
        file["layers/normalization/vars/0"][:] = [0.485, 0.456, 0.406]
        file["layers/normalization/vars/1"][:] = [0.229, 0.224, 0.225]  # as Keras keeps it: no square
    network = network_of()
    usual = network.mean.clone(), network.std.clone()
    load_keras(network, read_keras(drawn.path))
    torch.testing.assert_close(network.mean, usual[0])
    torch.testing.assert_close(network.std, usual[1])


def _with_config(change):
    def changed(told, layout):
        config = json.loads(told["config"])
        change(config["config"]["layers"])
        told["config"] = json.dumps(config)

    return changed


def _layer(layers, name):
    return next(one for one in layers if one["config"]["name"] == name)


def _renamed_kind(name, **values):
    return _with_config(lambda layers: _layer(layers, name).update(values))


def _set(name, **values):
    return _with_config(lambda layers: _layer(layers, name)["config"].update(values))


def _without(part):
    def changed(told, layout):
        layout["shapes"] = {place: shape for place, shape in layout["shapes"].items() if part not in place}

    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_renamed_kind("rescaling", class_name="Lambda"), "layer rescaling is a Lambda, which holds code"),
        (
            _renamed_kind("stem_activation", module="evil.package", class_name="Swish"),
            r"layer stem_activation is evil\.package\.Swish, whose code is not here",
        ),
        (_set("block2a_bn", epsilon=1e-5), "block2a_bn has epsilon 1e-05"),
        (_set("dense", activation="gelu"), "dense has the activation gelu"),
        (
            _renamed_kind("global_average_pooling2d", class_name="GlobalMaxPooling2D"),
            "global_average_pooling2d is GlobalMaxPooling2D",
        ),
        (
            _without("/batch_normalization_5/"),
            "the first layer that differs is block2a_project_bn, whose gamma has none",
        ),
        (
            _renamed_kind("rescaling", class_name="Resizing"),
            r"rescaling \(Resizing\) stands before the backbone",
        ),
    ],
)
def test_what_cannot_be_computed_here_is_refused_by_its_name(layouts, tmp_path, change, said):
    drawn = Drawn(layouts, tmp_path, "flat", "model.keras", change)
    network = network_of()
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(CheckpointError, match=said):
        load_keras(network, read_keras(drawn.path))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_first_layer_of_another_network_is_named_with_the_mend(layouts, tmp_path):
    drawn = Drawn(layouts, tmp_path, "flat", "model.h5")
    with pytest.raises(CheckpointError) as error:
        load_keras(network_of("tf_efficientnetv2_s"), read_keras(drawn.path))
    said = str(error.value)
    assert "the first layer that differs is stem_conv, whose kernel is (3, 3, 3, 32)" in said
    assert "its top 1280, its blocks are 16: give model=timm model.backbone=" in said
    with pytest.raises(CheckpointError, match=r"keras\.applications has no resnet18"):
        load_keras(network_of("resnet18"), read_keras(drawn.path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.head_units=[16,9]"], r"give model\.head_units=\[16,8\]"),
        (["data.classes=[a,b,c]"], r"tells 5 classes, and data\.classes names 3: give data\.classes="),
        (["model.image_size_px=96"], r"give model\.image_size_px=64"),
        ([], ""),
    ],
)
def test_training_starts_from_it_or_says_which_setting_does_not_fit(layouts, tmp_path, words, said):
    drawn = Drawn(layouts, tmp_path, "nested", "model.keras")
    config = settings(
        tmp_path,
        "model=timm",
        "model.backbone=tf_efficientnet_b0",
        "model.image_size_px=64",
        "model.head_units=[16,8]",
        f"init_from={drawn.path}",
        *words,
    )
    if not said:
        network = starting_network(config, tmp_path / "run", ["finetune"])
        kernel = next(array for place, array in drawn.arrays.items() if array.shape == (3, 3, 3, 32))
        np.testing.assert_array_equal(
            network.state_dict()["backbone.net.conv_stem.weight"].numpy(), kernel.transpose(3, 2, 0, 1)
        )
        return
    with pytest.raises((ConfigError, CheckpointError), match=said):
        starting_network(config, tmp_path / "run", ["finetune"])


def test_what_is_no_file_of_keras_is_told(layouts, tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match=r"no file .*nowhere\.keras"):
        read_keras(tmp_path / "nowhere.keras")
    (tmp_path / "text.h5").write_text("not at all")
    with pytest.raises(CheckpointError, match=r"save it again, by model\.save"):
        read_keras(tmp_path / "text.h5")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("other.txt", "?")
    with pytest.raises(CheckpointError, match=r"it holds other\.txt, and not config\.json"):
        read_keras(tmp_path / "other.keras")
    drawn = Drawn(layouts, tmp_path, "flat", "model.weights.h5")
    whole = drawn.path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        drawn.path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CheckpointError, match="cannot be read as a file of Keras"):
            read_keras(drawn.path)
    drawn.path.write_bytes(whole)
    with h5py.File(drawn.path, "a") as file:
        file["layers/secret"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(CheckpointError, match=r"layers/secret is a link to elsewhere"):
        read_keras(drawn.path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(CheckpointError, match=r'pip install "wbc\[keras\]"'):
        read_keras(drawn.path)


def test_names_of_keras_files_are_known_in_any_letter_case():
    assert [is_keras(name) for name in ("a.keras", "B.H5", "c.weights.h5", "d.ckpt", "e.pth")] == [
        *[True] * 3,
        *[False] * 2,
    ]


@pytest.mark.slow  # a training
def test_the_command_fine_tunes_a_model_of_keras(layouts, tmp_path):
    drawn = Drawn(layouts, tmp_path, "nested", "model.keras")
    words = [*SMALL, "model=timm", "model.backbone=tf_efficientnet_b0", "model.head_units=[16,8]"]
    words += [f"data.root={tmp_path / 'cells'}", f"init_from={drawn.path}", "hydra.run.dir=run"]
    done = typed("wbc", "train", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "weights of Keras from" in done.stdout
    told = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert list(told["phases"]) == ["finetune"]  # the head is trained already
    assert (tmp_path / "run" / "model.ckpt").is_file()


@pytest.mark.slow  # makes an environment of Keras once, and builds networks of up to 117 million parameters
@pytest.mark.parametrize(
    ("application", "name", "size_px", "structure"),
    [
        ("EfficientNetV2L", "tf_efficientnetv2_l", 224, "nested"),
        ("EfficientNetV2M", "tf_efficientnetv2_m", 224, "flat"),
        ("EfficientNetV2S", "tf_efficientnetv2_s", 224, "sequential"),
        ("EfficientNetV2B0", "tf_efficientnetv2_b0", 224, "flat"),
        *((f"EfficientNetB{n}", f"tf_efficientnet_b{n}", 224, STRUCTURES[n % 2]) for n in range(7)),
        ("EfficientNetB7", "tf_efficientnet_b7", 128, "nested"),
    ],
)
def test_logits_are_those_of_keras_and_keras_answers_alike_with_ours(
    tmp_path, monkeypatch, application, name, size_px, structure
):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # its scripts import each other as they are run
    environment = importlib.import_module("keras_environment")
    try:
        keras = environment.keras_python()
    except environment.KerasUnavailableError as error:
        pytest.skip(str(error))
    side = KERAS / "keras_side.py"
    subprocess.run(
        [keras, side, "models", tmp_path, application, str(size_px), structure], check=True, timeout=1800
    )
    told = np.load(tmp_path / "answers.npz")
    pixels = torch.from_numpy(told["pixels"]).permute(0, 3, 1, 2)
    for form in FORMS:
        if form == "model.weights.h5" and application.startswith("EfficientNetV2B"):
            with pytest.raises(CheckpointError, match="do not tell the scale of pixels"):
                load_keras(network_of(name, size_px), read_keras(tmp_path / form))
            continue
        network = network_of(name, size_px).eval()
        load_keras(network, read_keras(tmp_path / form))
        with torch.inference_mode():
            logits = network(pixels).numpy()
        assert np.abs(told["logits"]).max() > 0.1
        print(application, form, "largest difference", np.abs(logits - told["logits"]).max())
        np.testing.assert_allclose(logits, told["logits"], rtol=0, atol=1e-4)
    exported = tmp_path / "exported"
    exported.mkdir()
    write_keras_folder(network, exported)
    np.save(tmp_path / "pixels.npy", told["pixels"])
    subprocess.run(
        [keras, side, "answers", exported, tmp_path / "pixels.npy", tmp_path / "back.npy"],
        check=True,
        timeout=1800,
    )
    np.testing.assert_allclose(np.load(tmp_path / "back.npy"), told["logits"], rtol=0, atol=1e-4)
