"""evaluate.py: labelled sets measured as other libraries measure them, with nothing left out in silence."""

import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

import wbc
from tests.helpers.commands import Started, typed
from tests.helpers.trees import picture, write_image
from wbc.answers.checkpoint import save_model
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.datasets.manifest import COLUMNS, write_manifest
from wbc.errors import ConfigError, DataError, WbcError
from wbc.evaluating.compared_models import load_models
from wbc.evaluating.job import evaluate
from wbc.labels import ClassNames
from wbc.metrics.intervals import exact_interval, mean_interval
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.report.labelled_sets import find_sets
from wbc.settings.abstain import AbstainConfig
from wbc.settings.evaluate import EvaluateConfig
from wbc.settings.parse import parse_as

CLASSES = ["Basophil", "Monocyte", "Neutrophil"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two models of one run with its manifest; another lab without basophils, with one image that training
    had, one file that is no image, and a table of the others with their slides.
    """
    folder = tmp_path_factory.mktemp("place")
    rows, seed = [], 0
    for split, each in (("train", 2), ("val", 10), ("test", 4)):
        for name in CLASSES:
            for _ in range(each):
                path = write_image(folder / "own" / split / f"{seed}.png", picture(seed, 32))
                rows.append({"path": str(path), "label": name, "split": split, "source": "lab"})
                seed += 1
    manifest = pd.DataFrame(rows, columns=COLUMNS, dtype=object).fillna("")
    write_manifest(manifest, folder / "run" / "manifest.csv")
    for number in range(10):
        image = picture(seed + number, 32)
        write_image(folder / "lab_b" / "images" / CLASSES[1 + number % 2] / f"{number}.png", image)
    shutil.copy(rows[0]["path"], folder / "lab_b" / "images" / "Monocyte" / "known.png")
    (folder / "lab_b" / "images" / "Neutrophil" / "broken.png").write_bytes(b"no picture")
    listed = sorted((folder / "lab_b").rglob("[0-9].png"))
    lines = [f"{path},{path.parent.name},slide_{index // 3}" for index, path in enumerate(listed)]
    (folder / "slides.csv").write_text("\n".join(["path,label,group", *lines]))
    val = torch.from_numpy(np.stack([picture(number, 64) for number in range(6, 36)])).permute(0, 3, 1, 2)
    for number, path in enumerate(("model.ckpt", "checkpoints/head/best.ckpt")):
        torch.manual_seed(number)
        network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES).eval()
        features, logits, _ = Predictor(network).outputs(val)
        labels = torch.arange(30) // 10
        rule = None if number else fit_rule(features, logits, labels, AbstainConfig(0.5, 0.9, "knn", 0.95))
        save_model(Predictor(network, rule), folder / "run" / path, {})
    return folder


def settings(place: Path, *data: str, **changed) -> EvaluateConfig:
    values = {
        "checkpoint": str(place / "run" / "model.ckpt"),
        "data": list(data),
        "batch_size": 8,
        "workers": 0,
        "device": "cpu",
        "checks_dir": str(place / "cache"),
        "seed": 0,
    }
    return parse_as(EvaluateConfig, values | changed)


@pytest.fixture(scope="module")
def run(place, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    head = str(place / "run" / "checkpoints" / "head" / "best.ckpt")
    data = ("test", str(place / "lab_b" / "images"), str(place / "slides.csv"))
    assert evaluate(settings(place, *data, compare=[head]), folder) == 1
    return folder


@pytest.fixture(scope="module")
def record(run) -> dict:
    return json.loads((run / "metrics.json").read_text())


def rows_of(file: Path) -> list[list[str]]:
    with file.open(newline="") as lines:
        return list(csv.reader(lines))[1:]


def test_rows_are_what_the_predictor_answers(place, run):
    table = pd.read_csv(run / "predictions.csv")
    assert table["data"].value_counts().to_dict() == {"test": 12, "lab_b/images": 10, "slides": 10}
    answers = wbc.load(place / "run" / "model.ckpt").predict(table["path"].tolist())
    assert table["prediction"].tolist() == answers.labels
    assert table["status"].tolist() == answers.status
    assert table["set"].tolist() == [" | ".join(names) for names in answers.sets]
    np.testing.assert_allclose(table[CLASSES], answers.probabilities, atol=1e-5)
    np.testing.assert_allclose(table["score"], answers.scores, rtol=1e-4)


def test_metrics_are_scikit_learns_over_the_classes_that_occur(run, record):
    table = pd.read_csv(run / "predictions.csv")
    for name, rows in table.groupby("data"):
        one = record["sets"][name]
        assert one["accuracy"] == pytest.approx(accuracy_score(rows["label"], rows["prediction"]), abs=1e-6)
        expected = f1_score(
            rows["label"], rows["prediction"], average="macro", labels=sorted(set(rows["label"]))
        )
        assert one["macro_f1"] == pytest.approx(expected, abs=1e-6)
        answers, status = one["answers"], rows["status"]
        assert answers["answered"] == (status == "answered").sum()
        assert answers["unknown_share"] == pytest.approx((status == "not a known cell").mean(), abs=1e-6)
        inside = [
            label in names.split(" | ") for label, names in zip(rows["label"], rows["set"], strict=True)
        ]
        assert answers["set_coverage"] == pytest.approx(np.mean(inside), abs=1e-6)
    assert record["sets"]["lab_b/images"]["classes_present"] == ["Monocyte", "Neutrophil"]


def test_means_are_over_the_models_own_lab_and_over_the_others(record):
    sets, means = record["sets"], record["means"]
    assert means["in-lab mean"]["accuracy"] == sets["test"]["accuracy"]
    others = [sets[name]["accuracy"] for name in ("lab_b/images", "slides")]
    assert means["other-lab mean"]["accuracy"] == pytest.approx(sum(others) / 2, abs=1e-6)


def test_the_outlier_score_is_measured_against_the_models_own_lab(run, record):
    table = pd.read_csv(run / "predictions.csv").set_index("data")["score"]
    for name in ("lab_b/images", "slides"):
        pairs = table[name].to_numpy()[:, None] - table["test"].to_numpy()
        assert record["outlier_auroc"][name] == pytest.approx(
            ((pairs > 0) + (pairs == 0) / 2).mean(), abs=1e-3
        )


def test_what_is_not_measured_is_named_with_its_reason(place, run, record):
    ((data, path, reason),) = rows_of(run / "errors.csv")
    assert (data, Path(path).name) == ("lab_b/images", "broken.png")
    assert "no JPEG, PNG" in reason
    ((data, path, reason),) = rows_of(run / "left_out.csv")
    assert (data, Path(path).name) == ("lab_b/images", "known.png")
    original, model = place / "own" / "train" / "0.png", place / "run" / "checkpoints" / "head" / "best.ckpt"
    assert reason == f"same pixels as {original} in train of {model}"
    assert record["sets"]["lab_b/images"]["left_out"] == {"trained on": 1, "unreadable": 1}
    page = (run / "report.html").read_text()
    assert "trained on: 1, unreadable: 1" in page
    assert "none of Basophil, which the macro averages leave out" in page


def test_groups_of_a_table_are_what_intervals_are_drawn_from(record):
    drawn = {name: one["resampled"] for name, one in record["sets"].items()}
    assert drawn == {"test": "images", "lab_b/images": "images", "slides": "groups"}


def test_answers_have_intervals_over_groups_too_and_the_caption_says_so(place, run, record):
    table = pd.read_csv(run / "predictions.csv")
    slides = pd.read_csv(place / "slides.csv").set_index("path")["group"]
    for name, rows in table.groupby("data"):
        right = (rows["prediction"] == rows["label"]).to_numpy()
        pairs = zip(rows["label"], rows["set"], strict=True)
        covered = np.array([label in names.split(" | ") for label, names in pairs])
        answered = (rows["status"] == "answered").to_numpy()
        groups = rows["path"].map(slides).to_numpy()
        for key, values, among in (
            ("answered_accuracy", right, answered),
            ("set_coverage", covered, answered | True),
        ):
            found = record["sets"][name]["answers"][f"{key}_interval"]
            if not among.any():
                assert found == {"low": None, "high": None}
                continue
            if name == "slides":
                expected = mean_interval(values[among], groups[among], resamples=1000)
            else:
                expected = exact_interval(int(values[among].sum()), int(among.sum()))
            assert found["low"] == pytest.approx(expected.low, abs=1e-6), (name, key)
            assert found["high"] == pytest.approx(expected.high, abs=1e-6), (name, key)
    page = (run / "report.html").read_text()
    assert "intervals are exact, those of slides from a bootstrap over groups" in page


def test_models_are_compared_on_the_same_images(place, run, record):
    assert list(record["models"]) == ["head/best.ckpt", "run/model.ckpt"]
    table = pd.read_csv(run / "predictions.csv").query("data == 'test'")
    other = wbc.load(place / "run" / "checkpoints" / "head" / "best.ckpt").predict(table["path"].tolist())
    right = [np.array(other.labels) == table["label"], table["prediction"] == table["label"]]
    test = record["compared"]["test"]["head/best.ckpt"]["mcnemar"]
    assert test["only_this_right"] == (right[0] & ~right[1]).sum()
    assert test["only_reported_right"] == (~right[0] & right[1]).sum()
    assert record["compared"]["test"]["head/best.ckpt"]["accuracy"] == pytest.approx(
        right[0].mean(), abs=1e-6
    )


@pytest.mark.parametrize("order", [1, -1])
def test_of_models_that_are_compared_the_best_is_reported(place, tmp_path, caplog, monkeypatch, order):
    """The last was, whatever it could do."""
    monkeypatch.setattr("wbc.evaluating.job.write_report", lambda *_: None)
    paths = []
    for name in ("Basophil", "Monocyte"):  # which each says of everything; no basophil is there
        model = wbc.load(place / "run" / "model.ckpt")
        with torch.no_grad():
            list(model.network.head.parameters())[-1][CLASSES.index(name)] += 50
        paths.append(tmp_path / name / "model.ckpt")
        paths[-1].parent.mkdir()
        save_model(model, paths[-1], {})
    compared = [str(path) for path in paths[::order]]
    evaluate(replace(settings(place, str(place / "slides.csv"), compare=compared), checkpoint=None), tmp_path)
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["reported"] == "Monocyte/model.ckpt"
    assert "Monocyte/model.ckpt is the best of 2 models" in caplog.text
    assert set(pd.read_csv(tmp_path / "predictions.csv")["prediction"]) == {"Monocyte"}


def test_models_are_named_by_folder_and_by_the_settings_that_differ(place, tmp_path):
    paths = []
    for job, lr in enumerate((1e-3, 1e-4)):
        paths.append(tmp_path / str(job) / "model.ckpt")
        config = {"seed": 1, "phase": {"head": {"lr": lr}}}
        paths[-1].parent.mkdir()
        save_model(wbc.load(place / "run" / "model.ckpt"), paths[-1], {"config": config})
    names = list(load_models(list(map(str, paths)), torch.device("cpu"), "torch"))
    assert names == ["0/model.ckpt (phase.head.lr=0.001)", "1/model.ckpt (phase.head.lr=0.0001)"]


def test_a_browser_opens_the_report_without_a_request_or_an_error(run, visit):
    seen = visit(run / "report.html")
    assert seen.console == []
    assert seen.requests == []
    headings = re.findall("<h2>(.*?)</h2>", seen.dom)
    assert headings[:2] == ["Verdict", "Results"]
    assert headings[-2:] == ["Explanations", "Model card"]
    links = re.findall(r"""(?:src|href|srcset|url)\s*[=(]\s*["']?([^"')\s]{1,20})""", seen.dom)
    assert links
    assert all(link.startswith(("data:image/", "#section-")) for link in links)


def test_the_browser_would_tell_of_a_request_and_an_error(tmp_path, visit):
    page = tmp_path / "page.html"
    page.write_text("<img src='http://example.org/a.png'><script>console.error('alas'); gone()</script>")
    seen = visit(page)
    assert seen.requests == ["http://example.org/a.png"]
    assert [bool(re.search("alas|gone", line)) for line in seen.console].count(True) == 2


def test_the_models_own_training_images_are_measured_only_if_asked_for(place, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("wbc.evaluating.job.write_report", lambda *_: None)
    evaluate(settings(place, "val"), tmp_path)
    one = json.loads((tmp_path / "metrics.json").read_text())
    assert one["sets"]["val"]["images"] == 30
    assert one["means"] == {}
    assert "the figures flatter" in caplog.text
    with pytest.raises(DataError, match=r"all 6 images are left out \(trained on 6\)"):
        evaluate(settings(place, str(place / "own" / "train_table.csv")), tmp_path)


@pytest.fixture(autouse=True, scope="module")
def train_table(place) -> None:
    manifest = pd.read_csv(place / "run" / "manifest.csv", keep_default_na=False)
    manifest[manifest["split"] == "train"][["path", "label"]].to_csv(
        place / "own" / "train_table.csv", index=False
    )


def _other_classes(place: Path) -> dict:
    path = place / "other" / "model.ckpt"
    save_model(Predictor(Network(Backbone("tf_efficientnet_lite0", 64), ["Monocyte", "Basophil"])), path, {})
    return {"compare": [str(path)]}


@pytest.mark.parametrize(
    ("data", "changed", "message"),
    [
        ("gone", {}, "data=gone: no such file or folder.*test, train, val"),
        ("{place}/own", {}, "48 of 48 images have no label.*<class>/<image>.*path and label"),
        ("{place}/empty", {}, "no images in the folder"),
        ("{place}/foreign.csv", {}, "'Platelet': not among the model's classes"),
        ("{place}/bare.csv", {}, "lacks the columns label"),
        ("test", {"checkpoint": "README.md"}, "cannot be read as weights"),
        ("test", {"checkpoint": "gone.ckpt"}, "gone.ckpt"),
        ("test", _other_classes, "other/model.ckpt answers Monocyte, Basophil"),
        ("test", {"device": "tpu9"}, "device=tpu9"),
    ],
)
def test_what_cannot_be_measured_is_named_and_leaves_no_result(place, tmp_path, data, changed, message):
    (place / "empty").mkdir(exist_ok=True)
    (place / "foreign.csv").write_text("path,label\na.png,Platelet\n")
    (place / "bare.csv").write_text("path\na.png\n")
    given = changed(place) if callable(changed) else changed
    with pytest.raises(WbcError, match=re.compile(message, re.DOTALL)):
        evaluate(settings(place, data.format(place=place), **given), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data": []}, "at least one labelled set"),
        ({"data": ["a", "a"]}, "named twice"),
        ({"checkpoint": None}, "no model"),
        ({"checkpoint": None, "compare": ["a"]}, "two models or more"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_settings_out_of_range_are_refused(place, changed, message):
    with pytest.raises(ConfigError, match=message):
        settings(place, "test", **changed)


def command(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return typed("evaluate.py", f"hydra.run.dir={folder}", "device=cpu", "workers=0", *overrides)


@pytest.mark.slow  # tests/campaign/test_disks.py has every verb
def test_a_full_disk_is_told_with_its_file_and_with_room_all_is_measured(place, tmp_path):
    """It ended in a traceback.  Files of 100 kB at most stand for the full disk."""
    given = [f"checkpoint={place / 'run' / 'model.ckpt'}", f"data={place / 'slides.csv'}"]
    words = [*given, f"checks_dir={place / 'cache'}", "device=cpu", "workers=0", f"hydra.run.dir={tmp_path}"]
    started = Started("evaluate.py", *words)
    started.allow_files_of(100_000)
    ended = started.ended()
    assert ended.returncode == 1
    mend = "could not be written: File too large; free some space, then give the same command again"
    assert re.fullmatch(rf"error: {tmp_path}/\S+ {mend}", ended.stdout.splitlines()[-1])
    assert "Traceback" not in ended.stdout + ended.stderr
    assert [path.name for path in tmp_path.rglob(".*")] == []
    again = typed("evaluate.py", *words)
    assert again.returncode == 0, again
    assert (tmp_path / "report.html").stat().st_size > 100_000


@pytest.mark.slow
def test_the_command_line_measures_what_it_can_and_exits_1(place, tmp_path):
    given = [f"checkpoint={place / 'run' / 'model.ckpt'}", f"checks_dir={place / 'cache'}"]
    result = command(tmp_path / "out", *given, f"data={place / 'lab_b'}")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 images could not be read; errors.csv says why" in result.stdout
    assert "lab_b" in result.stdout
    assert set(json.loads((tmp_path / "out" / "metrics.json").read_text())["sets"]) == {"lab_b"}
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"report.html", "predictions.csv", "errors.csv", "left_out.csv", "config.yaml"} <= left
    assert not any(name.startswith(".") for name in left)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=test", "checkpont=x"], "checkpont"),
        (["data=test"], "no model: give checkpoint="),
        (["data=gone", "checkpoint={place}/run/model.ckpt"], "data=gone: no such file or folder"),
    ],
)
def test_a_wrong_command_line_says_so(place, tmp_path, overrides, message):
    result = command(tmp_path / "out", *(part.format(place=place) for part in overrides))
    assert result.returncode == 1
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_sets_of_the_training_lab_are_known_by_the_manifest_or_told(place):
    names = ClassNames(CLASSES, of_model=True)
    manifest = pd.read_csv(place / "run" / "manifest.csv", keep_default_na=False)
    table = place / "own_test.csv"
    manifest[manifest["split"] == "test"][["path", "label"]].to_csv(table, index=False)
    other, checkpoint = str(place / "slides.csv"), place / "run" / "model.ckpt"
    given = ["test", str(table), other]
    assert [one.in_lab for one in find_sets(given, names, checkpoint)] == [True, True, False]
    assert [one.in_lab for one in find_sets(given, names, checkpoint, in_lab=[other])] == [True, True, True]
    with pytest.raises(DataError, match=r"in_lab=\['elsewhere'\]: not among data="):
        find_sets(given, names, checkpoint, in_lab=["elsewhere"])


def test_what_is_told_to_be_of_the_training_lab_is_in_no_mean_of_other_labs(place, tmp_path):
    other = str(place / "slides.csv")
    evaluate(settings(place, "test", other, in_lab=[other]), tmp_path)
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert list(record["means"]) == ["in-lab mean"]
    assert record["means"]["in-lab mean"]["sets"] == 2
