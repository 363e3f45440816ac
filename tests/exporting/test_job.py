"""export.py: what leaves answers as the model does, or nothing leaves."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.commands import typed
from tests.helpers.fitted_words import fitted_words
from tests.helpers.verbs import run_verb
from wbc.answers.checkpoint import load_model, save_model
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.errors import CheckpointError, ConfigError
from wbc.exporting import graph, int8, job, sameness
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.answers import Answers
from wbc.settings.abstain import AbstainConfig


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """model.ckpt, and pictures in cells/, one of which is damaged."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "cells").mkdir()
    rng = np.random.default_rng(0)
    for number in range(5):
        picture = rng.integers(0, 256, (40 + number, 50, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "cells" / f"{number}.png")
    (folder / "cells" / "damaged.png").write_bytes(b"?")
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES).eval()
    labels = torch.arange(40) % 5
    logits = torch.randn(40, 5) + 2 * torch.eye(5)[labels]
    rule = fit_rule(torch.randn(40, 1280), logits, labels, AbstainConfig(0.2, 0.9, "knn", 0.95))
    save_model(Predictor(network, rule), folder / "model.ckpt", {})
    return folder


def export(place: Path, folder: Path, *words: str) -> int:
    return run_verb("export", place, f"images={place / 'cells'}", *words, folder=folder)


@pytest.mark.slow
def test_torch_is_exported_too_and_an_unreadable_image_is_told(place, tmp_path):
    assert export(place, tmp_path, "format=torch") == 1
    compared = json.loads((tmp_path / "model" / "comparison.json").read_text())
    assert compared["images"] == 5
    assert 0 <= compared["probability_gap"] < 1e-5
    page = (tmp_path / "model" / "README.md").read_text()
    assert "5 pictures were answered" in page
    assert "{" not in page
    assert "torch==" in (tmp_path / "model" / "requirements.txt").read_text()
    picture, damaged = (str(place / "cells" / name) for name in ("0.png", "damaged.png"))
    done = subprocess.run(
        [sys.executable, "classify.py", picture, damaged],
        check=False,
        cwd=tmp_path / "model",
        capture_output=True,
        text=True,
    )
    header, first, second = csv.reader(done.stdout.splitlines())
    assert done.returncode == 1
    assert first[header.index("prediction")] in CLASSES
    assert second[header.index("status")].startswith("unreadable: no JPEG")
    wrong = {"--list": "give a text file with a path a line", "network.pt2": "copy the whole folder again"}
    (tmp_path / "model" / "network.pt2").write_bytes(b"?")
    for word, mend in wrong.items():
        words = [word, str(tmp_path / "none.txt")] if word == "--list" else [picture]
        done = subprocess.run(
            [sys.executable, "classify.py", *words],
            check=False,
            cwd=tmp_path / "model",
            capture_output=True,
            text=True,
        )
        assert done.returncode != 0
        assert mend in done.stderr.splitlines()[-1]  # torch logs of its own before
    copied = "".join(file.read_text() for file in (tmp_path / "model").rglob("*.py"))
    assert not re.search(r"^\s*(from|import) wbc", copied, re.MULTILINE)


def test_one_that_answers_otherwise_is_refused_and_nothing_left(place, tmp_path, monkeypatch):
    def off(folder, paths):
        return [["", path, "", "", "Basophil", "1", "0", "0", "0", "0", "Basophil", "?"] for path in paths]

    monkeypatch.setattr(job, "write_graph", lambda *asked: None)
    monkeypatch.setattr(sameness, "_rows_of", off)
    with pytest.raises(
        ConfigError, match=r"not answer 5 of 5 images as this one does: of .*\.png it says Basophil"
    ):
        export(place, tmp_path, "format=torch")
    assert not list(tmp_path.iterdir())


def test_an_image_that_lies_on_a_limit_may_fall_on_either_side(place):
    rule = load_model(place / "model.ckpt").rule
    share = (1 - np.array([rule.threshold, 1 - rule.set_limit, 0.999, 0.2])) / 4
    best = np.array([rule.threshold, 1 - rule.set_limit, 0.999, 0.2])
    probabilities = np.column_stack([best, *[share] * 4])
    scores = np.array([0.0, 0.0, rule.outlier_threshold, 0.0])
    answers = Answers([""] * 4, probabilities, [[]] * 4, [""] * 4, scores, [None] * 4)
    assert (
        sameness.on_the_edge(answers, rule, CLASSES).tolist() == [True] * 4
    )  # the last: its classes are alike
    assert not sameness.on_the_edge(answers._replace(scores=scores + 9), rule, CLASSES)[2]


@pytest.fixture
def labelled(place, tmp_path) -> Path:
    for number, name in enumerate([*CLASSES, *CLASSES]):
        picture = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        (tmp_path / "labelled" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "labelled" / name / f"{number}.png")
    return tmp_path / "labelled"


def test_int8_leaves_with_a_rule_of_its_own_and_figures_of_both(
    place, labelled, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(int8, "_MOST_LOST", 1.0)  # of a network that knows nothing
    monkeypatch.setattr(int8, "_ECE", 2.0)
    predictor = load_model(place / "model.ckpt")
    told = fitted_words()  # of 3 features and classes
    weight, link = np.zeros((1280, 5), np.float32), np.zeros((5, 5))
    predictor.words = replace(told, weight=weight, class_weight=link, class_bias=np.zeros(5))
    save_model(predictor, tmp_path / "model.ckpt", {})
    words = "precision=int8", f"images={labelled}"
    assert run_verb("export", tmp_path, *words, folder=tmp_path / "run") == 0
    model = tmp_path / "run" / "model"
    assert "words are left out" in caplog.text
    assert json.loads((model / "model.json").read_text())["words"] is None
    compared = json.loads((model / "comparison.json").read_text())
    assert compared["images"] == compared["precision"]["int8"]["images"] == 10
    assert compared["probability_gap"] <= 1e-4
    assert (model / "network.onnx").stat().st_size < 6e6  # of 13.5 MB in float32
    assert "The network computes in int8: on 10 validation images" in (model / "README.md").read_text()
    rules = [
        rule
        for rule in (
            json.loads((model / "model.json").read_text())["rule"],
            load_model(place / "model.ckpt").rule,
        )
    ]
    assert rules[0]["temperature"] != rules[1].temperature


def test_int8_that_is_worse_is_refused_and_nothing_left(place, labelled, tmp_path, monkeypatch):
    told = iter(
        [{"images": 10, "macro_f1": 0.99, "ece": 0.005}, {"images": 10, "macro_f1": 0.98, "ece": 0.004}]
    )
    monkeypatch.setattr(int8, "_figures", lambda *asked: next(told))
    with pytest.raises(
        ConfigError, match=r"98\.00 % for 99\.00 %, of which 0\.2 may be lost.*precision=float32"
    ):
        export(place, tmp_path / "run", "precision=int8", f"images={labelled}")
    assert not list((tmp_path / "run").iterdir())


def test_what_int8_needs_is_named(place, tmp_path):
    with pytest.raises(ConfigError, match="give format=onnx"):
        export(place, tmp_path, "precision=int8", "format=openvino")
    with pytest.raises(ConfigError, match="needs labelled images, such as images=val"):
        export(place, tmp_path, "precision=int8")
    without = tmp_path / "checkpoint.ckpt"
    predictor = load_model(place / "model.ckpt")
    save_model(Predictor(predictor.network), without, {})
    with pytest.raises(ConfigError, match="this model has no rule of answers: give precision=float32"):
        int8.with_int8(load_model(without), [], [], tmp_path)


def test_releases_that_do_not_go_together_are_named(place, tmp_path, monkeypatch):
    """A traceback of torch's told of a pass of the conversion."""

    def failing(error):
        def export(*_, **__):
            raise error

        monkeypatch.setattr(torch.onnx, "export", export)

    network = load_model(place / "model.ckpt").network
    failing(AttributeError("'tuple' object has no attribute 'dtype'"))
    with pytest.raises(
        ConfigError, match=r"by torch 2\S+, onnxscript .*no attribute 'dtype'\): install others"
    ):
        graph.write_graph(network, "onnx", tmp_path)
    failing(OSError("no space left"))
    with pytest.raises(OSError, match="no space left"):
        graph.write_graph(network, "onnx", tmp_path)


def test_a_missing_package_is_named_before_any_work(place, tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "missing_modules", lambda names: [name for name in names if "onnx" in name])
    with pytest.raises(ConfigError, match="pip install onnx onnxscript onnxruntime, or give"):
        export(place, tmp_path)


def test_the_command_names_what_is_wrong(place, tmp_path):
    wrong = typed("export.py", f"checkpoint={place / 'model.ckpt'}", "format=tflite", cwd=tmp_path)
    assert wrong.returncode == 1
    assert "format='tflite': expected one of onnx, openvino, torch" in wrong.stdout
    without = typed("export.py", f"checkpoint={place / 'model.ckpt'}", cwd=tmp_path)
    assert without.returncode == 1
    assert "images=val: no such file or folder, and no split of the model's run" in without.stdout


def test_keras_gets_the_network_alone_where_it_has_one_like_it(place, tmp_path, caplog):
    pytest.importorskip("h5py", reason="h5py not installed")
    with pytest.raises(CheckpointError, match=r"keras\.applications has no tf_efficientnet_lite0"):
        export(place, tmp_path / "lite0", "format=keras")
    assert not (tmp_path / "lite0" / "model").exists()
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_b0", 64), CLASSES, [16], standardise=["size"]).eval()
    save_model(Predictor(network), tmp_path / "b0.ckpt", {})
    words = [f"checkpoint={tmp_path / 'b0.ckpt'}", "format=keras"]
    assert export(place, tmp_path / "b0", *words) == 0
    assert "the network alone, without the standard view of a cell" in caplog.text
    written = tmp_path / "b0" / "model"
    assert sorted(path.name for path in written.iterdir()) == [
        "keras_model.py",
        "model.weights.h5",
        "network.json",
    ]
    told = json.loads((written / "network.json").read_text())
    assert (told["application"], told["head_units"], told["rescaling"]) == ("EfficientNetB0", [16], None)
    compile((written / "keras_model.py").read_text(), "keras_model.py", "exec")
