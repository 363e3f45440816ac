import numpy as np
import pytest
import torch
from PIL import Image

import wbc
from wbc.answers.checkpoint import load_network, load_provenance, load_weights, save_model
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.errors import CheckpointError, ConfigError, DataError, ImageError
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.settings.abstain import AbstainConfig


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network(Backbone("tf_efficientnet_lite0", 64), CLASSES).eval()


def test_a_saved_model_predicts_the_same_from_files_and_arrays(tmp_path, network):
    path = tmp_path / "model.ckpt"
    save_model(Predictor(network), path, {"seed": 0})
    rng = np.random.default_rng(0)
    cells = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(3)]
    files = []
    for number, cell in enumerate(cells):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(cell).save(files[-1])
    predictor = wbc.load(path)
    labels, probabilities, *_ = predictor.predict(files)
    with torch.no_grad():
        logits = network(torch.from_numpy(np.stack(cells)).permute(0, 3, 1, 2))
    np.testing.assert_allclose(probabilities, logits.softmax(1), atol=1e-6)
    assert labels == [CLASSES[i] for i in logits.argmax(1).tolist()]
    np.testing.assert_allclose(predictor.predict(cells, batch_size=2).probabilities, probabilities, atol=1e-6)
    assert predictor.predict([]).probabilities.shape == (0, 5)
    assert torch.load(path, weights_only=True)["wbc"]["classes"] == list(CLASSES)


def test_other_sizes_are_resized_and_other_arrays_refused(tmp_path, network):
    save_model(Predictor(network), tmp_path / "model.ckpt", {})
    predictor = wbc.load(tmp_path / "model.ckpt")
    assert len(predictor.predict([np.zeros((30, 50, 3), np.uint8)]).labels) == 1
    for wrong in (np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)):
        with pytest.raises(ImageError, match=r"image 0 of the list: .*uint8"):
            predictor.predict([wrong])
    with pytest.raises(DataError, match=r"gone\.png"):
        predictor.predict([tmp_path / "gone.png"])


def test_a_network_takes_on_the_weights_of_a_checkpoint_and_refuses_another_network_s(tmp_path, network):
    before = {key: value.clone() for key, value in network.state_dict().items()}
    others = {"criterion.bias": torch.ones(1), "optimizer": torch.ones(1)}  # what training keeps beside
    torch.save(
        {"state_dict": others | {f"network.{key}": value for key, value in before.items()}},
        tmp_path / "best.ckpt",
    )
    for parameter in network.parameters():
        parameter.data.add_(1.0)
    load_weights(network, tmp_path / "best.ckpt")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    save_model(Predictor(Network(Backbone("resnet18", 64), CLASSES)), tmp_path / "other.ckpt", {})
    with pytest.raises(CheckpointError, match=r"other\.ckpt is damaged or does not fit"):
        load_weights(network, tmp_path / "other.ckpt")
    next(iter(before.values()))[0] = torch.nan
    torch.save({"state_dict": before}, tmp_path / "diverged.ckpt")
    with pytest.raises(CheckpointError, match=r"diverged\.ckpt .*not finite numbers"):
        load_weights(network, tmp_path / "diverged.ckpt")
    cut = (tmp_path / "best.ckpt").read_bytes()[:100_000]
    (tmp_path / "cut.ckpt").write_bytes(cut)
    with pytest.raises(CheckpointError, match=r"cut\.ckpt"):
        load_weights(network, tmp_path / "cut.ckpt")


@pytest.mark.parametrize("content", ["missing", "folder", "weights", "text", "damaged", "other version"])
def test_what_is_no_model_is_refused(tmp_path, network, content):
    path = tmp_path / "model.ckpt"
    if content == "folder":
        path.mkdir()
    elif content == "weights":
        torch.save(network.state_dict(), path)
    elif content == "text":
        path.write_text("?")
    elif content in ("damaged", "other version"):
        save_model(Predictor(network), path, {})
        stored = torch.load(path, weights_only=True)
        del stored["wbc"][{"damaged": "head_units", "other version": "format"}[content]]
        torch.save(stored, path)
    mend = r"model\.ckpt.*train it anew" if content == "other version" else r"model\.ckpt"
    with pytest.raises(CheckpointError, match=mend):
        load_network(path)


def test_paths_bytes_and_opened_images_are_answered_alike_and_a_bad_one_has_its_reason(tmp_path, network):
    save_model(Predictor(network), tmp_path / "model.ckpt", {})
    predictor = wbc.load(tmp_path / "model.ckpt", device="auto")
    cell = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = tmp_path / "cell.png"
    Image.fromarray(cell).save(file)
    good = [file, str(file), file.read_bytes(), Image.fromarray(cell)]
    given = [*good, b"no image", cell, tmp_path / "gone.png"]
    answers = predictor.predict(given, batch_size=2, keep_unreadable=True)
    assert [label == "" for label in answers.labels] == [False, False, False, False, True, False, True]
    assert answers.status[4].startswith("unreadable: no JPEG")
    assert "No such file" in answers.status[6]
    assert np.isnan(answers.probabilities[[4, 6]]).all()
    read = [0, 1, 2, 3, 5]
    np.testing.assert_allclose(answers.probabilities[read], answers.probabilities[[0] * 5], atol=1e-6)
    with pytest.raises(ImageError, match=r"image 4 of the list: no JPEG"):
        predictor.predict(given)
    for single in good:
        with pytest.raises(TypeError, match="takes a list"):
            predictor.predict(single)
    with pytest.raises(ConfigError, match="batch_size=0: expected 1 or more"):
        predictor.predict([], batch_size=0)
    with pytest.raises(TypeError, match="int is no image"):
        predictor.predict([1])
    with pytest.raises(ConfigError, match="device=gpu"):
        wbc.load(tmp_path / "model.ckpt", device="gpu")


NAME = "__class_fullname__"  # under which albumentations tells the class of a transform


def _break_weights(stored):
    stored["state_dict"]["head.0.bias"][0] = float("nan")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda stored: stored["wbc"].update(std=[0.0, 0.2, 0.2]), "std"),
        (lambda stored: stored["wbc"].update(std=[float("nan"), 0.2, 0.2]), "std"),
        (lambda stored: stored["wbc"].update(mean=[0.5, 0.5]), "mean"),
        *(
            (lambda stored, value=value: stored["wbc"].update(image_size_px=value), "image_size_px")
            for value in ("word", 64.5, -1, True, 2**31)
        ),
        (lambda stored: stored["wbc"].update(classes=["Basophil"] * 5), "classes"),
        (_break_weights, r"head\.0\.bias"),
        *(
            (lambda stored, value=value: stored["answers"].update(temperature=value), "temperature")
            for value in (0.0, -1.0, float("nan"), float("inf"), "warm")
        ),
        (lambda stored: stored["answers"].update(threshold=float("nan")), "threshold"),
        (lambda stored: stored["answers"].update(set_limit="all"), "set_limit"),
        (lambda stored: stored["answers"].update(max_error=2.0), "max_error"),
        *(
            (
                lambda stored, name=name: stored["test_time"].update(draws=1, augment={NAME: name}),
                "transforms",
            )
            for name in (["Rotate"], {"Rotate": 1})
        ),
    ],
)
def test_a_model_that_could_only_mislead_is_refused_by_field(tmp_path, network, damage, named):
    """Such files loaded, and answered."""
    torch.manual_seed(0)
    outputs = torch.randn(40, 8), torch.randn(40, 5), torch.arange(40) % 5
    rule = fit_rule(*outputs, AbstainConfig(0.05, 0.9, "energy", 0.95))
    path = tmp_path / "model.ckpt"
    save_model(Predictor(network, rule), path, {})
    wbc.load(path)
    stored = torch.load(path, weights_only=True)
    damage(stored)
    torch.save(stored, path)
    with pytest.raises(CheckpointError, match=rf"model\.ckpt is damaged or does not fit: .*{named}"):
        wbc.load(path)


@pytest.mark.parametrize(
    "provenance",
    [
        "word",
        None,
        {"config": ["word"]},
        {"config": {"data": "word"}},
        {"config": {"data": {"aliases": 3}}},
        {"config": {"init_from": 2}},
        {"adapted": "word"},
        {"adapted": {}},
        {"adapted": {"from": 1}},
        {"adapted": {"from": "model.ckpt", "before": ["word"]}},
    ],
    ids=str,
)
def test_a_damaged_record_of_how_a_model_was_made_is_refused(tmp_path, network, provenance):
    """Verbs that read it ended in a traceback."""
    path = tmp_path / "model.ckpt"
    whole = {"config": {"data": {"aliases": {}}, "init_from": None}, "adapted": {"from": "a", "before": None}}
    save_model(Predictor(network), path, whole)
    assert load_provenance(path) == whole
    save_model(Predictor(network), path, provenance)
    said = r"model\.ckpt: its record of how it was made is damaged \(.*\); copy it again from its origin"
    with pytest.raises(CheckpointError, match=said):
        load_provenance(path)
