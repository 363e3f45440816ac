"""adapt.py: a few cells of another lab in, a model that is better there out, or the old one."""

import json
from dataclasses import replace
from pathlib import Path

import albumentations
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import wbc
from tests.helpers.commands import typed
from tests.helpers.configs import composed_for
from wbc.adapting.job import adapt
from wbc.adapting.lab_cells import lab_cells, turned_copies
from wbc.adapting.report import DID_NOT_HELP, HELPED, Comparison, write_comparison
from wbc.answers.averaged_views import AveragedViews
from wbc.answers.checkpoint import load_model, load_provenance, save_model
from wbc.answers.outliers import OutlierScore
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.answers.temperature import fit_temperature
from wbc.errors import CheckpointError, ConfigError, DataError
from wbc.heat.known_pictures import KnownPictures
from wbc.images.decode import decode, resize
from wbc.images.prepare import Prepare
from wbc.loading.augment import Augment
from wbc.loading.labelled_images import LabelledImages
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.picture_check import PictureCheck
from wbc.settings.abstain import AbstainConfig
from wbc.settings.adapt import AdaptConfig
from wbc.synthetic.draw import LABS, draw_cell
from wbc.training.fit_second_opinion import fit_second_opinion

CLASSES = ["Basophil", "Monocyte", "Neutrophil"]
COLOURS = {"Basophil": (210, 40, 40), "Monocyte": (40, 200, 60), "Neutrophil": (60, 60, 220)}


def write_cell(path: Path, name: str, seed: int) -> None:
    """Noise of a colour that tells the class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = np.clip(rng.normal(COLOURS[name], 30, (16, 16, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).resize((48, 48)).save(path)


def write_lab(folder: Path, first_seed: int = 0, **counts: int) -> Path:
    for name, count in counts.items():
        for number in range(count):
            write_cell(folder / name / f"{number}.png", name, 1000 * first_seed + 100 * len(name) + number)
    return folder


def settings(*overrides: str) -> AdaptConfig:
    return composed_for("adapt", AdaptConfig, *overrides)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A model that knows nothing, and a lab whose cells any head could tell."""
    folder = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES, (8,))
    pictures = PictureCheck(0.0, 0.0, 0.0, usual_share=0.25)
    save_model(Predictor(network, pictures=pictures), folder / "model.ckpt", {"a": 1})
    write_lab(folder / "lab", Basophil=1, Monocyte=9, Neutrophil=10)
    return folder


def given(place: Path, *overrides: str) -> AdaptConfig:
    common = ["views=1", "folds=3", "device=cpu", f"checks_dir={place / 'checks'}"]
    files = [f"checkpoint={place / 'model.ckpt'}", f"data={place / 'lab'}"]
    unless_given = [one for one in files if not any(o.startswith(one.split("=")[0] + "=") for o in overrides)]
    return settings(*common, *unless_given, *overrides)


@pytest.fixture(scope="module")
def run(place, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    config = given(place, "per_class=6", "measure_rest=true", "abstain.set_coverage=0.8")
    assert adapt(config, folder) == 0
    return folder


def test_a_run_leaves_everything(run):
    assert {path.name for path in run.iterdir()} == {
        *("manifest.csv", "rest.csv", "out_of_fold.csv", "metrics.json", "report.md", "model.ckpt")
    }
    text = (run / "report.md").read_text()
    assert "helped" in text
    assert "rest.csv" in text


def test_drawn_and_left_over_cells_are_the_lab(run, place):
    manifest = pd.read_csv(run / "manifest.csv", keep_default_na=False)
    assert sorted(manifest["path"]) == sorted(map(str, (place / "lab").rglob("*.png")))
    drawn = manifest[manifest["split"] == "train"]
    assert drawn["label"].value_counts().to_dict() == {"Neutrophil": 6, "Monocyte": 6, "Basophil": 1}
    rest = pd.read_csv(run / "rest.csv")
    assert rest["path"].tolist() == manifest.loc[manifest["split"] == "test", "path"].tolist()
    assert pd.read_csv(run / "out_of_fold.csv")["path"].tolist() == drawn["path"].tolist()


def test_the_model_written_does_on_other_cells_what_the_report_says(run, place):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["verdict"] == HELPED
    rest = pd.read_csv(run / "rest.csv")
    for when, file in (("before", place / "model.ckpt"), ("after", run / "model.ckpt")):
        labels = wbc.load(file).predict(rest["path"].tolist()).labels
        share = np.mean([a == b for a, b in zip(labels, rest["label"], strict=True)])
        assert share == pytest.approx(metrics["rest"][when]["accuracy"], abs=1e-6)
    assert metrics["rest"]["after"]["accuracy"] > metrics["rest"]["before"]["accuracy"] + 0.2


def test_the_cross_validation_is_that_of_the_table(run):
    metrics = json.loads((run / "metrics.json").read_text())
    table = pd.read_csv(run / "out_of_fold.csv")
    for when, column in (("before", "prediction_before"), ("after", "prediction")):
        share = (table[column] == table["label"]).mean()
        assert metrics["cross_validation"][when]["accuracy"] == pytest.approx(share, abs=1e-6)
        assert metrics["cross_validation"]["intervals"][when]["accuracy"]["estimate"] == pytest.approx(share)
    assert metrics["cells"] == {"Basophil": 1, "Monocyte": 6, "Neutrophil": 6}
    # of the single basophil, held out, no head of its fold has seen another
    assert table.loc[table["label"] == "Basophil", "Basophil"].item() < 0.5


def test_only_the_head_is_another_and_the_model_says_what_it_came_from(run, place):
    old, adapted = load_model(place / "model.ckpt").network, load_model(run / "model.ckpt")
    new, rule = adapted.network, adapted.rule
    for (key, before), after in zip(old.state_dict().items(), new.state_dict().values(), strict=True):
        assert torch.equal(before, after) != key.startswith("head."), key
    assert rule.images == len(adapted.lab.bank) == 13
    drawn = pd.read_csv(run / "out_of_fold.csv")
    assert [f"{place / 'lab'}/{name}" for name in adapted.known.names] == drawn["path"].tolist()
    known = [adapted.classes[label] for label in adapted.known.labels]
    assert known == drawn["label"].tolist(), "cells of its own lab are those that an answer is like"
    pictures = KnownPictures(adapted.known, run / "model.ckpt", None, Prepare(64), 32)
    assert pictures.picture(adapted.known.names[0]) is not None
    assert adapted.pictures.usual_share == 0.25  # photographs are cut as the backbone knows cells
    assert adapted.pictures.smallest_share > 0  # what else pictures look like is this lab's
    assert rule.set_limit < 1
    promise = json.loads((run / "metrics.json").read_text())["promise"]
    assert promise == {"max_error": None, "asked_error": 0.1, "images": 13}
    assert rule.threshold == float("inf")  # 13 cells, some of them wrong, promise nothing
    text = (run / "report.md").read_text()
    assert "13 cells cannot promise that at most 10 % of answers are wrong, for it takes 36" in text
    assert "cells are too few for sets" not in text
    assert rule.outlier_score.method == "knn"  # as the model had no rule
    origin = load_provenance(run / "model.ckpt")
    assert origin["adapted"]["from"] == str(place / "model.ckpt")
    assert origin["adapted"]["cells"]["path"] == pd.read_csv(run / "out_of_fold.csv")["path"].tolist()
    assert origin["a"] == 1  # of the model it comes from


def test_a_larger_error_that_is_promised_stands_in_the_report(run, place, tmp_path):
    rule = load_model(run / "model.ckpt").rule
    rule = replace(rule, threshold=0.5, max_error=0.2, images=20)
    labels = torch.tensor([0, 1, 2, 0])
    comparison = Comparison(torch.eye(3)[labels], torch.eye(3)[labels], labels, ["a", "b", "c"])
    write_comparison(given(place), tmp_path, comparison, rule, True, None)
    said = (
        "at most 20 % of its answers are wrong, not the 10 % that was asked for (abstain.max_error): the 20 "
    )
    assert said + "cells" in (tmp_path / "report.md").read_text()
    promise = json.loads((tmp_path / "metrics.json").read_text())["promise"]
    assert promise == {"max_error": 0.2, "asked_error": 0.1, "images": 20}


def test_the_same_settings_give_the_same_model(run, place, tmp_path):
    config = given(place, "per_class=6", "measure_rest=true", "abstain.set_coverage=0.8")
    adapt(config, tmp_path)
    first, second = (load_model(folder / "model.ckpt").network.state_dict() for folder in (run, tmp_path))
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert (run / "metrics.json").read_text() == (tmp_path / "metrics.json").read_text()


def test_where_it_does_not_help_the_old_head_is_kept_under_a_rule_of_the_lab(run, place, tmp_path, caplog):
    """A model that has settled already has nothing to gain."""
    caplog.set_level("INFO")
    lab = write_lab(tmp_path / "lab", first_seed=1, Monocyte=5, Neutrophil=5)
    settled = tmp_path / "settled.ckpt"  # with an outlier score that is not the default
    predictor = load_model(run / "model.ckpt")
    superclasses = {"either": ["Basophil", "Neutrophil"]}
    predictor.rule = replace(predictor.rule, outlier_score=OutlierScore("energy"), superclasses=superclasses)
    save_model(predictor, settled, load_provenance(run / "model.ckpt"))
    more = [f"checkpoint={settled}", f"data={lab}", "abstain.set_coverage=0.99"]
    assert adapt(given(place, *more), tmp_path / "run") == 0
    old, new = load_model(settled), load_model(tmp_path / "run" / "model.ckpt")
    old_rule, rule = old.rule, new.rule
    kept = new.network.state_dict()
    assert all(torch.equal(value, kept[key]) for key, value in old.network.state_dict().items())
    assert rule.images == 10
    assert rule.outlier_score.method == old_rule.outlier_score.method == "energy"
    assert rule.superclasses == superclasses
    text = (tmp_path / "run" / "report.md").read_text()
    assert "10 cells are too few for sets that hold the true class in 99 % of cases" in text
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["verdict"] == DID_NOT_HELP
    assert DID_NOT_HELP in caplog.text
    assert DID_NOT_HELP in (tmp_path / "run" / "report.md").read_text()
    adapted = load_provenance(tmp_path / "run" / "model.ckpt")["adapted"]
    assert adapted["strength"] is None
    assert adapted["before"] == load_provenance(run / "model.ckpt")["adapted"]
    assert "no cell of Basophil" in caplog.text
    predictor = wbc.load(run / "model.ckpt")
    paths = pd.read_csv(tmp_path / "run" / "out_of_fold.csv")["path"].tolist()
    labels = torch.tensor([CLASSES.index(Path(path).parent.name) for path in paths])
    cells, _ = lab_cells(predictor, paths, labels, 1, 4)
    expected = fit_temperature(cells.logits(predictor.network.head).detach(), labels)
    assert rule.temperature == pytest.approx(expected, rel=1e-2)


def test_views_of_a_cell_are_its_turns_and_their_mirror_images(place):
    predictor, path = wbc.load(place / "model.ckpt"), str(place / "lab" / "Monocyte" / "0.png")
    pixels = torch.from_numpy(resize(decode(path), 64)).permute(2, 0, 1)[None]
    found = lab_cells(predictor, [path], torch.tensor([3]), 8, 4)[0].features[0]
    for number, turned in enumerate(torch.rot90(pixels, turn, (2, 3)) for turn in range(4)):
        torch.testing.assert_close(found[number], predictor.outputs(turned)[0][0])
        torch.testing.assert_close(found[number + 4], predictor.outputs(turned.flip(3))[0][0])
    assert len(found.unique(dim=0)) == 8


def test_a_second_opinion_is_beside_the_heads_logits_and_stays_with_the_model(place, tmp_path):
    predictor, paths = wbc.load(place / "model.ckpt"), sorted(map(str, (place / "lab").rglob("*.png")))[:6]
    images = [
        draw_cell(name, LABS["lab_a"], np.random.default_rng(n))[0] for n in range(6) for name in CLASSES
    ]
    drawn = LabelledImages([resize(image, 64) for image in images], CLASSES * 6, CLASSES)
    predictor.second_opinion = fit_second_opinion(drawn, [False] * len(drawn), 1.5, 0, seed=0)
    cells, _ = lab_cells(predictor, paths, torch.zeros(6, dtype=torch.int64), 2, 4)
    assert cells.added.shape == (6, 2, 3)
    assert (cells.added.amax(dim=(1, 2)) < 0).all()
    pixels = torch.from_numpy(np.stack([resize(decode(path), 64) for path in paths])).permute(0, 3, 1, 2)
    logits = cells.logits(predictor.network.head).detach()
    torch.testing.assert_close(logits, predictor.outputs(pixels)[1], atol=1e-5, rtol=0)
    save_model(predictor, tmp_path / "model.ckpt", {})
    adapt(given(place, f"checkpoint={tmp_path / 'model.ckpt'}"), tmp_path / "run")
    adapted = wbc.load(tmp_path / "run" / "model.ckpt").second_opinion
    assert adapted.weight == 1.5


def test_what_was_learnt_of_unknown_kinds_stays_with_the_model(place, tmp_path):
    predictor = wbc.load(place / "model.ckpt")
    dimensions = predictor.network.backbone.features
    features, labels = torch.randn(30, dimensions), torch.arange(30) % 3
    settings = AbstainConfig(0.3, 0.9, "knn", 0.95)
    predictor.rule = fit_rule(
        features, torch.randn(30, 3), labels, settings, unknown=torch.randn(20, dimensions)
    )
    save_model(predictor, tmp_path / "model.ckpt", {})
    adapt(given(place, f"checkpoint={tmp_path / 'model.ckpt'}"), tmp_path / "run")
    adapted = wbc.load(tmp_path / "run" / "model.ckpt").rule.outlier_score
    assert torch.equal(adapted.unknown_kinds.weight, predictor.rule.outlier_score.unknown_kinds.weight)
    assert not torch.equal(adapted.tensors["bank"], predictor.rule.outlier_score.tensors["bank"])


def test_to_a_model_that_averages_over_draws_two_turns_are_enough(place, tmp_path, monkeypatch):
    predictor = wbc.load(place / "model.ckpt")
    chain = Augment([albumentations.Transpose()]).state()
    predictor.views = AveragedViews(draws=2, augment=chain)
    asked = []
    monkeypatch.setattr(
        "wbc.adapting.job.lab_cells", lambda _, paths, labels, views, size: asked.append(views) or 1 / 0
    )
    save_model(predictor, tmp_path / "model.ckpt", {})
    with pytest.raises(ZeroDivisionError):
        adapt(given(place, f"checkpoint={tmp_path / 'model.ckpt'}", "views=8"), tmp_path / "run")
    assert asked == [2]
    assert [turned_copies(8, views) for views in (AveragedViews(), predictor.views)] == [8, 2]


def test_what_would_mislead_is_left_out_and_named(place, tmp_path, caplog):
    lab = write_lab(tmp_path / "lab", Monocyte=4, Neutrophil=4)
    (lab / "Monocyte" / "copy.png").write_bytes((lab / "Monocyte" / "0.png").read_bytes())
    (lab / "Monocyte" / "doubt.png").write_bytes((lab / "Neutrophil" / "0.png").read_bytes())
    (lab / "Monocyte" / "broken.png").write_bytes(b"no image")
    assert adapt(given(place, f"data={lab}"), tmp_path / "run") == 1
    manifest = pd.read_csv(tmp_path / "run" / "manifest.csv", keep_default_na=False)
    left_out = manifest[manifest["excluded"] != ""]
    excluded = dict(
        zip(left_out["path"].map(lambda path: Path(path).stem), left_out["excluded"], strict=True)
    )
    assert set(excluded) == {"copy", "doubt", "0", "broken"}
    assert excluded["copy"] == f"a copy of {lab / 'Monocyte' / '0.png'}"
    assert "unreadable: no JPEG" in excluded["broken"]
    assert "labelled Monocyte and Neutrophil" in excluded["doubt"]
    assert len(pd.read_csv(tmp_path / "run" / "out_of_fold.csv")) == 7


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"Monocyte": 2, "Neutrophil": 2}, "4 cells to adapt by .* give 5 or more"),
        ({"Monocyte": 6}, "give two classes or more"),
    ],
)
def test_too_few_cells_are_refused(place, tmp_path, counts, message):
    with pytest.raises(DataError, match=message):
        adapt(given(place, f"data={write_lab(tmp_path / 'lab', **counts)}"), tmp_path / "run")
    assert not (tmp_path / "run" / "model.ckpt").exists()


def test_a_class_that_the_model_does_not_know_is_named(place, tmp_path):
    lab = write_lab(tmp_path / "lab", Monocyte=4, Neutrophil=4)
    (lab / "Monocyte").rename(lab / "Blast")
    with pytest.raises(DataError, match=r"4 of 8 images have no class.*Blast"):
        adapt(given(place, f"data={lab}"), tmp_path / "run")
    (tmp_path / "lab.csv").write_text("path,label\nlab/Blast/0.png,Blast\n")
    with pytest.raises(DataError, match="'Blast': not among the model's classes"):
        adapt(given(place, f"data={tmp_path / 'lab.csv'}"), tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["checkpoint=nowhere.ckpt"], CheckpointError, "nowhere.ckpt"),
        (["checkpoint=README.md"], CheckpointError, "README.md"),
        (["data=nowhere"], DataError, "data=nowhere"),
        (["device=xpu9"], ConfigError, "device=xpu9"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(place, tmp_path, overrides, error, message):
    with pytest.raises(error, match=message):
        adapt(given(place, *overrides), tmp_path)


@pytest.mark.parametrize(
    "override",
    [
        *("per_class=0", "measure_rest=true", "strength=0", "strength=inf"),
        *("views=3", "folds=1", "batch_size=0", "workers=-1", "seed=-1", "abstain.max_error=0"),
    ],
)
def test_settings_out_of_range_are_refused(override):
    with pytest.raises(ConfigError, match=override.partition("=")[0]):
        settings("checkpoint=a", "data=b", override)


def test_the_command(place, tmp_path):
    lab = write_lab(tmp_path / "lab", Monocyte=4, Neutrophil=4)
    (lab / "Monocyte" / "broken.png").write_bytes(b"no image")
    files = [f"checkpoint={place / 'model.ckpt'}", f"data={lab}", f"checks_dir={place / 'checks'}"]
    run = f"hydra.run.dir={tmp_path / 'run'}"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.csv").write_text("")  # of a run that was stopped before it had a model
    done = typed("adapt.py", *files, run, "views=1", "folds=2", "strength=0.01")
    assert done.returncode == 1, done.stderr
    assert "1 images could not be read" in done.stdout + done.stderr
    assert (tmp_path / "run" / "model.ckpt").is_file()
    assert json.loads((tmp_path / "run" / "versions.json").read_text())["seed"] == 0
    (lab / "Monocyte" / "broken.png").unlink()
    again = typed("adapt.py", *files, run)
    assert again.returncode == 1
    assert "holds a run already: choose another folder (hydra.run.dir)" in again.stderr + again.stdout
    misspelt = typed("adapt.py", *files, "strengths=0.1")
    assert misspelt.returncode == 1
    assert "strengths" in misspelt.stderr


def test_where_no_cell_is_left_to_measure_on_this_is_said(place, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("wbc.adapting.job.lab_cells", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        adapt(given(place, "per_class=10", "measure_rest=true"), tmp_path)
    assert "measure_rest: every cell is taken, and none is left to measure on" in caplog.text
    assert not (tmp_path / "rest.csv").exists()
