"""One run that learns attributes beside the class, and what every verb makes of its words."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import wbc
from tests.helpers.configs import composed, composed_for
from tests.helpers.small_runs import TWO_EPOCHS
from tests.helpers.trees import write_splits
from tests.helpers.verbs import run_verb
from wbc.answers.checkpoint import load_model
from wbc.errors import CheckpointError, ConfigError
from wbc.explaining.job import explain
from wbc.heat.thumbnails import image_of
from wbc.heat.word_maps import WordMap
from wbc.labels import CLASSES
from wbc.settings.explain import ExplainConfig
from wbc.settings.run_folder import start
from wbc.training.job import train


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Class folders and a table of two attributes, one of which the class decides."""
    root = tmp_path_factory.mktemp("cells")
    write_splits(root, train=8, val=6, test=2)
    with (root / "attributes.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split", "granularity", "status"])
        for number, path in enumerate(sorted(root.rglob("*.png"))):
            granular = "no" if path.parent.name in ("Lymphocyte", "Monocyte") else "yes"
            shape = "" if number % 5 == 0 else ("round", "irregular")[number % 2]
            table.writerow([path.relative_to(root), path.parent.name, "", granular, shape])
    return root


@pytest.fixture(scope="module")
def run(cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    overrides = [word for word in TWO_EPOCHS if not word.startswith(("data=", "data.images"))]
    config = composed(
        "data=folder",
        *overrides,
        f"data.root={cells}",
        f"data.attributes={cells / 'attributes.csv'}",
        f"data.checks_dir={cells}",
        "words.max_error=0.3",
    )
    start(config, folder)
    return folder, train(config, folder)


def test_the_model_tells_the_tables_attributes(run):
    folder, metrics = run
    predictor = load_model(folder / "model.ckpt")
    assert predictor.attributes == ("granularity", "status")
    assert predictor.words.values == (("no", "yes"), ("irregular", "round"))
    assert set(metrics["words"]) == {"val", "test"}
    told = metrics["words"]["test"]["attributes"]["granularity"]
    assert told["images"] == 10
    assert 0 <= told["macro_f1"] <= 1
    assert json.loads((folder / "metrics.json").read_text())["words"] == metrics["words"]
    page = (folder / "results.md").read_text(encoding="utf-8")
    assert "**Words, test**: class by the words alone, macro F1 " in page
    assert "| granularity " in page


def test_fine_tuning_learnt_them_and_the_head_phase_did_not(run):
    folder, _ = run
    states = {
        phase: torch.load(folder / "checkpoints" / phase / "best.ckpt", weights_only=True)["state_dict"]
        for phase in ("head", "finetune")
    }
    assert not any(key.startswith("attributes.") for key in states["head"])
    assert states["finetune"]["attributes.heads.weight"].any()


def test_predictions_have_columns_of_words_and_every_verb_says_the_same(run, cells, tmp_path):
    folder, _ = run
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        of_run = {row["path"]: row for row in csv.DictReader(file)}
    assert run_verb("predict", folder, f"images={cells / 'test'}", folder=tmp_path) == 0
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    for row in rows:
        assert set(row) > {"word_granularity", "word_status", "words_for", "words_class", "status"}
        for name in ("word_granularity", "words_for", "words_against", "words_class", "status"):
            assert row[name] == of_run[row["path"]][name]
    answers = wbc.load(folder / "model.ckpt").predict([row["path"] for row in rows])
    assert [cell.told_class for cell in answers.words] == [row["words_class"] for row in rows]


def test_explanations_say_why_in_words(run, cells, tmp_path):
    folder, _ = run
    run_verb("explain", folder, f"images={cells / 'test'}", folder=tmp_path)
    with (tmp_path / "explanations.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    answers = wbc.load(folder / "model.ckpt").predict([row["path"] for row in rows])
    assert [cell.reasons.told for cell in answers.words] == [row["words_alone"] for row in rows]
    page = (tmp_path / "gallery.html").read_text(encoding="utf-8")
    assert page.count("by the words alone: ") == len(rows)
    assert page.count('class="panel with-reasons with-known-words"') == len(rows)
    assert all("granularity: " in row["like"] for row in rows)


def test_the_model_knows_its_validation_cells_by_what_people_named(run, cells):
    folder, _ = run
    predictor = load_model(folder / "model.ckpt")
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    assert len(rows) == len(predictor.known.names) == len(predictor.rule.outlier_score.tensors["bank"])
    assert not any(str(cells) in name for name in predictor.known.names)
    answers = predictor.predict([row["path"] for row in rows])
    for row, name, label, like in zip(
        rows, predictor.known.names, predictor.known.labels, answers.like_these, strict=True
    ):
        assert row["path"].endswith(f"/{name}")
        assert row["label"] == CLASSES[label]
        nearest = min((*like.alike, like.other), key=lambda cell: cell.distance)
        if answers.labels[rows.index(row)] == row["label"]:
            assert nearest.name == name, "each is like itself"
        granular = "no" if nearest.label in ("Lymphocyte", "Monocyte") else "yes"
        assert dict(nearest.words)["granularity"] == granular


def test_heat_maps_show_where_a_word_comes_from(run, cells, tmp_path):
    folder, _ = run
    asked = ["words=[status,granularity]", "methods=[eigencam,layercam:blocks.4.2]", "save_maps=true"]
    run_verb("explain", folder, f"images={cells / 'test'}", *asked, folder=tmp_path)
    frame = pd.read_csv(tmp_path / "explanations.csv", keep_default_na=False)
    names = [f"{attribute} by layercam:blocks.4.2" for attribute in ("status", "granularity")]
    assert frame["method"].value_counts().to_dict() == dict.fromkeys(
        ["eigencam", "layercam:blocks.4.2", *names], 10
    )
    predictor = load_model(folder / "model.ckpt")
    one = frame[(frame["method"] == names[0]) & (frame["number"] == 3)].iloc[0]
    images, _ = image_of(one["path"], predictor.network)
    (cell,) = predictor.predict([one["path"]]).words
    word = next(word for word in cell.words if word.attribute == "status")
    assert (one["target"], float(one["target_probability"])) == (word.value, pytest.approx(word.probability))
    heat = WordMap(predictor.network, predictor.words, "status", "layercam", "blocks.4.2").heat(
        images, [cell]
    )
    with np.load(tmp_path / "maps" / "000003.npz") as maps:
        assert set(maps) == set(frame["method"])
        assert heat.any() or one["note"] == "no positive heat"
        np.testing.assert_allclose(maps[names[0]], heat[0], atol=1e-5)
    with Image.open(tmp_path / "panels" / "000003.jpg") as panel:
        assert panel.width > 5 * 224, "the image and four maps"


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [("words=[hue]", "attribute 'hue': the model tells granularity, status"), ("words=[hue,hue]", "words")],
)
def test_attributes_that_are_not_told_are_refused(run, cells, tmp_path, asked, complaint):
    folder, _ = run
    with pytest.raises(ConfigError, match=complaint):
        explain(
            composed_for(
                *("explain", ExplainConfig, f"checkpoint={folder / 'model.ckpt'}"),
                *(f"images={cells / 'test'}", "device=cpu", asked),
            ),
            tmp_path,
        )


def test_an_exported_model_tells_the_same_words(run, cells, tmp_path):
    folder, _ = run
    run_verb("export", folder, f"images={cells / 'test'}", "format=torch", folder=tmp_path)
    assert "the words for 2 attributes" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    compared = json.loads((tmp_path / "model" / "comparison.json").read_text())
    assert compared["words_compared"] == 20
    held = [path.read_bytes() for path in (tmp_path / "model").rglob("*") if path.is_file()]
    known = load_model(folder / "model.ckpt").known.names
    assert not any(name.encode() in one for name in known for one in held), "no names of known cells leave"


def test_damaged_words_are_refused_and_a_model_without_them_says_nothing(run, tmp_path):
    folder, _ = run
    content = torch.load(folder / "model.ckpt", weights_only=True)
    torch.save(content | {"words": content["words"] | {"names": ["granularity"]}}, tmp_path / "damaged.ckpt")
    with pytest.raises(CheckpointError, match=r"damaged\.ckpt is damaged .*words"):
        load_model(tmp_path / "damaged.ckpt")
    del content["words"], content["known_cells"]
    torch.save(content, tmp_path / "before.ckpt")
    before = load_model(tmp_path / "before.ckpt")
    assert before.attributes == ()
    assert list(CLASSES) == before.classes
