"""predict.py: every file has its row or its reason, however the run was cut up."""

import csv
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import wbc
from tests.helpers.commands import Started, typed
from wbc.answers.checkpoint import load_model, save_model
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.errors import ConfigError
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.answers import ANSWERED, UNCERTAIN, UNKNOWN
from wbc.plain.lab_check import ELSEWHERE, fit_lab_check
from wbc.predicting.job import predict
from wbc.settings.abstain import AbstainConfig
from wbc.settings.parse import parse_as
from wbc.settings.predict import PredictConfig
from wbc.synthetic.draw import LABS, draw_cell
from wbc.utils.claim import claimed

CLASSES = ["Basophil", "Monocyte", "Neutrophil"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A model, 70 images on two slides, and three files that are none."""
    folder = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES).eval()
    rng = np.random.default_rng(0)
    for number in range(70):
        path = folder / "images" / f"slide_{number % 2}" / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((48, 48)).save(path)
    (folder / "images" / "slide_0" / "broken.png").write_bytes(b"no picture")
    (folder / "images" / "slide_1" / "empty.jpg").touch()
    (folder / "images" / "slide_1" / "notes.txt").write_text("not an image, and not taken for one")
    predictor = Predictor(network)
    noise = torch.from_numpy(rng.integers(0, 256, (40, 3, 64, 64), np.uint8))
    features, logits, _ = predictor.outputs(noise)
    rule = fit_rule(features, logits, logits.argmax(dim=1), AbstainConfig(0.05, 0.9, "knn", 0.95))
    save_model(Predictor(network, rule), folder / "model.ckpt", {})
    return folder


def settings(place: Path, output: Path, **changed) -> PredictConfig:
    values = {
        "checkpoint": str(place / "model.ckpt"),
        "images": str(place / "images"),
        "output": str(output),
        "table": "predictions.csv",
        "group": "folder",
        "batch_size": 2,
        "workers": 0,
        "accelerator": "cpu",
        "devices": 1,
        "num_nodes": 1,
    }
    return parse_as(PredictConfig, values | changed)


@pytest.fixture(scope="module")
def run(place, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    assert predict(settings(place, folder), folder) == 2
    return folder


def test_every_file_has_a_row_or_a_reason(place, run):
    table = pd.read_csv(run / "predictions.csv")
    with (run / "errors.csv").open() as file:
        errors = {Path(row["path"]).name: row["reason"] for row in csv.DictReader(file)}
    assert set(errors) == {"broken.png", "empty.jpg"}
    assert "empty" in errors["empty.jpg"]
    files = sorted(str(path) for path in (place / "images").rglob("*.png") if path.name != "broken.png")
    assert table["path"].tolist() == files
    assert not (run / "parts").exists()


def test_rows_are_what_the_predictor_answers(place, run):
    table = pd.read_csv(run / "predictions.csv")
    answers = wbc.load(place / "model.ckpt").predict(table["path"].tolist())
    assert table["prediction"].tolist() == answers.labels
    assert table["status"].tolist() == answers.status
    assert table["set"].tolist() == [" | ".join(names) for names in answers.sets]
    np.testing.assert_allclose(table[CLASSES], answers.probabilities, atol=1e-5)
    np.testing.assert_allclose(table["score"], answers.scores, rtol=1e-4)
    assert table["cell_found"].isna().all()  # this model looks for none
    assert answers.cell_found == [None] * len(table)


def test_a_model_that_standardises_says_where_it_found_no_cell(tmp_path):
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES, standardise=["size", "field"]).eval()
    save_model(Predictor(network), tmp_path / "model.ckpt", {})
    (tmp_path / "images").mkdir()
    cell = draw_cell("Monocyte", LABS["lab_a"], np.random.default_rng(0), 96)[0]
    for name, pixels in (("a_cell", cell), ("b_empty", np.full((96, 96, 3), 230, np.uint8))):
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "images" / "c_broken.png").write_bytes(b"no picture")
    folder = tmp_path / "run"
    assert predict(settings(tmp_path, folder, group=None), folder) == 1
    table = pd.read_csv(folder / "predictions.csv")
    assert table["cell_found"].tolist() == ["yes", "no"]
    answers = wbc.load(tmp_path / "model.ckpt").predict(table["path"].tolist())
    assert answers.cell_found == [True, False]
    np.testing.assert_allclose(table[CLASSES], answers.probabilities, atol=1e-5)


def test_the_differential_counts_each_slide(run):
    table = pd.read_csv(run / "predictions.csv")
    record = json.loads((run / "differential.json").read_text())
    assert list(record["groups"]) == ["slide_0", "slide_1"]
    assert record["promise"] == {"max_error": 0.1, "asked_error": 0.05, "images": 40}
    for name, rows in table.groupby("group"):
        one = record["groups"][name]
        assert one["images"] == len(rows) + 1
        assert one["status"] == rows["status"].value_counts().to_dict()
        found = {label: shares["count"] for label, shares in one["all"]["classes"].items()}
        assert found == rows["prediction"].value_counts().reindex(CLASSES, fill_value=0).to_dict()
    answered = record["total"]["answered"]
    assert answered["images"] == (table["status"] == ANSWERED).sum()
    assert set(record["total"]["status"]) <= {ANSWERED, UNCERTAIN, UNKNOWN}


@pytest.mark.parametrize("batches", [1, 17])
def test_an_interrupted_run_goes_on_without_repeating_or_losing_a_row(
    place, run, tmp_path, monkeypatch, batches
):
    outputs, calls = Predictor.outputs, []

    def stop_in_the_middle(self, pixels):
        if len(calls) == batches:
            raise KeyboardInterrupt
        calls.append(1)
        return outputs(self, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "outputs", stop_in_the_middle)
        with pytest.raises(KeyboardInterrupt):
            predict(settings(place, tmp_path), tmp_path)
    assert not (tmp_path / "predictions.csv").exists()
    assert predict(settings(place, tmp_path), tmp_path) == 2
    for name in ("predictions.csv", "errors.csv"):
        assert (tmp_path / name).read_bytes() == (run / name).read_bytes()
    monkeypatch.setattr(Predictor, "outputs", None)  # a finished run computes nothing
    assert predict(settings(place, tmp_path), tmp_path) == 2


def _trained_anew(place):
    predictor = wbc.load(place / "model.ckpt")
    with torch.no_grad():
        predictor.network.head[-1].bias += 1
    save_model(predictor, place / "model.ckpt", {})


def _one_more_image(place):
    shutil.copy(place / "images" / "slide_0" / "000.png", place / "images" / "slide_0" / "more.png")


def _image_replaced(place):
    Image.new("RGB", (48, 48)).save(place / "images" / "slide_0" / "000.png")


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_trained_anew, "before the file of the model changed"),
        (_one_more_image, "before the list of images or one of them changed"),
        (_image_replaced, "before the list of images or one of them changed"),
    ],
)
def test_answers_of_another_model_or_of_other_images_are_not_taken_for_these(
    place, tmp_path, monkeypatch, change, named, finished
):
    """It said "finished before" and gave the old rows, or mixed those of two models."""
    here = shutil.copytree(place, tmp_path / "place")
    folder = tmp_path / "out"
    if finished:
        predict(settings(here, folder), folder)
        assert predict(settings(here, folder), folder) == 2  # nothing has changed yet
    else:
        with monkeypatch.context() as patch:
            patch.setattr("wbc.predicting.job._join", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                predict(settings(here, folder), folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    change(here)
    with pytest.raises(ConfigError, match=rf"{named}: give another output=<folder>, or delete this one"):
        predict(settings(here, folder), folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_two_at_once_in_one_folder_are_refused_by_the_owners_name(place, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    left = output / ".answers.wbc-123.csv"  # of a process that was killed
    left.touch()
    with claimed(output, "another output="):
        assert not left.exists()
        second = command(place, output, f"images={place / 'images'}")
        assert second.returncode == 1
        said = second.stdout + second.stderr
        assert f"{output} is in use by process {os.getpid()} on " in said
        assert "wait until that has ended, or give another output=" in said
    assert command(place, output, f"images={place / 'images'}").returncode == 1  # for two unreadable images
    assert (output / "predictions.csv").is_file()


def test_sigterm_says_how_to_go_on_and_the_rest_is_answered(place, run, tmp_path):
    """It ended without a word."""
    given = [f"checkpoint={place / 'model.ckpt'}", f"images={place / 'images'}", f"output={tmp_path / 'out'}"]
    words = ("predict.py", *given, "group=folder", "accelerator=cpu", "batch_size=2", "workers=0")
    started = Started(*words)
    started.wait_until((tmp_path / "out" / "parts" / "00000000.csv").exists)
    started.send(signal.SIGTERM)
    ended = started.ended(60)
    assert ended.returncode == 143
    said = f"error: stopped; the same command with output={tmp_path / 'out'} goes on where it stopped"
    assert ended.stdout.splitlines()[-1] == said
    assert not (tmp_path / "out" / "predictions.csv").exists()
    assert typed(*words).returncode == 1  # for two unreadable images
    assert (tmp_path / "out" / "predictions.csv").read_text() == (run / "predictions.csv").read_text()


def test_without_an_output_answers_lie_where_other_verbs_have_theirs(place, tmp_path):
    """It ended with a traceback."""
    given = [f"checkpoint={place / 'model.ckpt'}", f"images={place / 'images' / 'slide_0' / '000.png'}"]
    done = typed("predict.py", *given, "accelerator=cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = tmp_path.glob("outputs/predict/*/predictions.csv")
    assert str(table.parent) in done.stdout


def test_parquet_holds_the_same_rows(place, run, tmp_path):
    predict(settings(place, tmp_path, table="predictions.parquet", workers=1), tmp_path)
    expected = pd.read_csv(run / "predictions.csv", keep_default_na=False)
    found = pd.read_parquet(tmp_path / "predictions.parquet")
    assert found.columns.tolist() == expected.columns.tolist()
    for column in expected:
        if column in (*CLASSES, "score"):
            np.testing.assert_allclose(found[column], expected[column], rtol=1e-5)
        else:
            assert found[column].tolist() == expected[column].tolist()


def command(place: Path, output: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    given = [f"checkpoint={place / 'model.ckpt'}", f"output={output}", "accelerator=cpu", "batch_size=2"]
    return typed("predict.py", *given, *overrides)


@pytest.mark.slow
def test_two_processes_give_the_rows_of_one(place, run, tmp_path):
    output = tmp_path / "out"
    result = command(place, output, f"images={place / 'images'}", "group=folder", "devices=2")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "2 images could not be read" in result.stdout
    for name in ("predictions.csv", "errors.csv"):
        assert (output / name).read_bytes() == (run / name).read_bytes()
    left = {path.name for path in output.iterdir() if path.suffix != ".log"}
    results = {"differential.json", "errors.csv", "predictions.csv", "sources.json"}
    assert left == results | {"config.yaml", "versions.json"}
    again = command(place, output, f"images={place / 'images'}", "group=folder")
    assert again.returncode == 1
    assert "finished before" in again.stdout
    other = command(place, output, "images=elsewhere", "group=folder")
    assert other.returncode == 1
    assert "holds a run with images=" in other.stdout


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["images=gone"], "no such file or folder"),
        (["images=wbc"], "nothing that ends in"),
        (["images=tests", "table=answers.xlsx"], "expected a file name that ends in"),
        (["images=tests", "colour=red"], "colour"),
        (["images=tests", "checkpoint=README.md"], "cannot be read as weights"),
    ],
)
def test_bad_input_is_named_and_leaves_no_result(place, tmp_path, overrides, message):
    result = command(place, tmp_path / "out", *overrides)
    assert result.returncode == 1
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out" / "predictions.csv").exists()


def test_a_training_checkpoint_answers_but_promises_nothing(place, tmp_path, caplog):
    save_model(Predictor(Network(Backbone("tf_efficientnet_lite0", 64), CLASSES)), tmp_path / "best.ckpt", {})
    config = settings(
        place, tmp_path, checkpoint=str(tmp_path / "best.ckpt"), images=f"{place}/images/slide_1/00*.png"
    )
    assert predict(config, tmp_path) == 0
    assert "no rule of answers" in caplog.text
    assert set(pd.read_csv(tmp_path / "predictions.csv")["status"]) == {"not calibrated"}


def test_processes_from_outside_must_be_those_asked_for(place, tmp_path, monkeypatch):
    with pytest.raises(
        ConfigError, match=r"num_nodes=2, but one process was started: .*, or give num_nodes=1"
    ):
        predict(settings(place, tmp_path, num_nodes=2), tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="2 processes were started from outside"):
        predict(settings(place, tmp_path), tmp_path)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_of_another_labs_pictures_none_counts_as_answered(place, run, tmp_path, caplog, elsewhere):
    predictor = load_model(place / "model.ckpt")
    rows = pd.read_csv(run / "predictions.csv", keep_default_na=False)
    outputs, _, _ = predictor.answer_files(rows["path"].tolist(), 8, 0, "cells")
    features = outputs.features.numpy()
    if elsewhere:
        features = features[:1] + np.random.default_rng(0).normal(0, 1e-3, features.shape)
    named = rows["prediction"].map(CLASSES.index).to_numpy()
    predictor.lab = fit_lab_check(features.astype(np.float32), named)
    save_model(predictor, tmp_path / "model.ckpt", {})
    output = tmp_path / "answers"
    assert predict(settings(place, output, checkpoint=str(tmp_path / "model.ckpt")), output) == 2
    record = json.loads((output / "differential.json").read_text())
    found = pd.read_csv(output / "predictions.csv", keep_default_na=False)
    assert record["lab"]["images"] == 70
    assert record["lab"]["elsewhere"] == elsewhere
    assert ANSWERED in set(rows["status"])
    expected = rows["status"].replace(ANSWERED, ELSEWHERE if elsewhere else ANSWERED)
    assert found["status"].tolist() == expected.tolist()
    assert found.drop(columns="status").equals(rows.drop(columns="status"))
    counted = record["total"]["status"]
    assert (ANSWERED in counted, ELSEWHERE in counted) == (not elsewhere, elsewhere)
    assert ("The promise is not valid here: these 70 pictures" in caplog.text) == elsewhere
