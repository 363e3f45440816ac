"""What is answered: as wbc predict answers for the same files, whatever else is asked meanwhile."""

import csv
import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from tests.helpers.drawn_fields import field
from tests.helpers.fitted_words import fitted_words
from tests.helpers.served import served, small_predictor
from tests.helpers.trees import picture, write_image
from tests.helpers.verbs import run_verb
from wbc.answers.checkpoint import save_model
from wbc.answers.predictor import Predictor
from wbc.plain.lab_check import ELSEWHERE, fit_lab_check
from wbc.plain.words import FittedWords
from wbc.serving.service import FIELDS, NO_RULE, ONE_ALONE


def rows(file):
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def as_row(answer):
    """A cell's record as the table of wbc predict has it."""
    found = {True: "yes", False: "no", None: ""}
    return {
        "prediction": answer["prediction"],
        **{name: f"{value:.6g}" for name, value in answer["probabilities"].items()},
        "set": " | ".join(answer["set"]),
        "status": answer["status"],
        "score": f"{answer['score']:.6g}",
        "cell_found": found[answer["cell_found"]],
    }


def assert_same(answer, row):
    """Up to the last of six digits, which the size of a batch may move."""
    for name, value in as_row(answer).items():
        try:
            assert float(value) == pytest.approx(float(row[name]), rel=1e-4, abs=1e-6), name
        except ValueError:
            assert value == row[name], name


def sent(*paths):
    return [("images", (path.name, path.read_bytes())) for path in paths]


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    return [write_image(folder / f"{number}.png", picture(number, 70)) for number in range(7)]


@pytest.mark.parametrize("count", [1, 7])
def test_crops_are_answered_as_wbc_predict_answers_them(small, model, crops, tmp_path, count):
    (tmp_path / "listed.txt").write_text("".join(f"{path}\n" for path in crops[:count]))
    run_verb("predict", model, f"images={tmp_path / 'listed.txt'}", f"output={tmp_path}", "accelerator=cpu")
    record = served(small).post("/answer", files=sent(*crops[:count])).json()
    expected = rows(tmp_path / "predictions.csv")
    assert [one["name"] for one in record["pictures"]] == [path.name for path in crops[:count]]
    for one, row in zip(record["pictures"], expected, strict=True):
        assert_same(one["answer"], row)
    told = json.loads((tmp_path / "differential.json").read_text())
    assert record["differential"] == told["total"]
    assert record["lab"]["elsewhere"] == told["lab"]["elsewhere"]
    assert record["lab"]["rank"] == pytest.approx(told["lab"]["rank"], abs=1e-3)


def test_a_body_that_is_the_picture_is_answered_as_a_form_with_it(small, crops):
    client = served(small)
    form = client.post("/answer", files=sent(crops[2])).json()
    for kind in ("image/png", "application/octet-stream", "IMAGE/PNG; x=y"):
        body = client.post(
            "/answer?name=2.png", content=crops[2].read_bytes(), headers={"content-type": kind}
        )
        assert body.json() == form


def test_photographs_are_answered_as_wbc_predict_answers_them(small, model, tmp_path):
    two = write_image(tmp_path / "slide" / "a.png", field([(100, 100), (300, 200)]))
    none = write_image(tmp_path / "slide" / "b.png", field([]))
    border = write_image(tmp_path / "slide" / "c.png", field([(10, 180)]))
    words = [f"images={tmp_path / 'slide'}", f"output={tmp_path / 'out'}", "accelerator=cpu", "fields=true"]
    run_verb("predict", model, *words)
    record = served(small).post("/answer?fields=true", files=sent(two, none, border)).json()
    assert [len(one["cells"]) for one in record["pictures"]] == [2, 0, 1]
    assert (record["pictures"][0]["width"], record["pictures"][0]["height"]) == (480, 360)
    cells = [cell for one in record["pictures"] for cell in one["cells"]]
    expected = rows(tmp_path / "out" / "cells.csv")
    for cell, row in zip(cells, expected, strict=True):
        assert [str(cell[name]) for name in ("x0", "y0", "x1", "y1")] == [
            row[name] for name in ("x0", "y0", "x1", "y1")
        ]
        assert cell["at_border"] == (row["at_border"] == "yes")
        assert_same(cell, row)
    alone = served(small).post("/answer?fields=true", files=sent(none)).json()
    assert alone["pictures"][0]["cells"] == []
    assert alone["differential"]["images"] == 0


def small_words():
    """Of 1,280 features, by the first three of which they tell."""
    made = fitted_words()
    weight = np.zeros((1280, 5), np.float32)
    weight[:3] = made.weight
    return FittedWords(
        **(
            vars(made)
            | {
                "weight": weight,
                "thresholds": np.array([0.0, math.inf]),  # granules are always told, nuclei never
                "class_weight": np.array([[0, 0, 9, 0, 0], [0, 9, 0, 0, 0], *[[0] * 5] * 3], float),
                "class_bias": np.zeros(5),
            }
        )
    )


def test_words_are_those_of_the_table(crops, tmp_path):
    predictor = small_predictor(small_words())
    save_model(predictor, tmp_path / "model.ckpt", {})
    (tmp_path / "listed.txt").write_text(f"{crops[0]}\n")
    run_verb(
        "predict", tmp_path, f"images={tmp_path / 'listed.txt'}", f"output={tmp_path}", "accelerator=cpu"
    )
    (row,) = rows(tmp_path / "predictions.csv")
    client = served(predictor)
    assert client.get("/version").json()["model"]["attributes"] == ["granules", "nucleus"]
    told = client.post("/answer", files=sent(crops[0])).json()["pictures"][0]["answer"]
    assert told["status"] in ("answered", "uncertain"), "else no word is told"
    words = told["words"]
    assert words["attributes"]["granules"]["value"] == row["word_granules"] != ""
    assert words["attributes"]["nucleus"]["value"] is None
    assert row["word_nucleus"] == ""
    for name in ("granules", "nucleus"):
        chance = words["attributes"][name]["probability"]
        assert chance == pytest.approx(float(row[f"word_{name}_probability"]), rel=1e-4)
    assert " | ".join(words["speak_for"]) == row["words_for"]
    assert " | ".join(words["speak_against"]) == row["words_against"]
    assert words["told_class"] == row["words_class"]
    assert words["told_probability"] == pytest.approx(float(row["words_class_probability"]), rel=1e-4)


def test_the_lab_is_checked_by_all_cells_of_a_request_and_one_alone_says_so(crops):
    predictor = small_predictor()
    predictor.rule = predictor.rule.__class__(
        **(vars(predictor.rule) | {"threshold": 0.0, "outlier_threshold": math.inf})
    )
    known = 1 + 0.001 * np.random.default_rng(0).normal(size=(40, 1280))  # all pictures are far from these
    predictor.lab = fit_lab_check(known, np.arange(40) % 5)
    client = served(predictor)
    one = client.post("/answer", files=sent(crops[0])).json()
    assert one["notes"][-1] == ONE_ALONE
    assert one["pictures"][0]["answer"]["status"] == "answered"
    several = client.post("/answer", files=sent(*crops)).json()
    assert several["lab"]["elsewhere"] is True
    assert {picture["answer"]["status"] for picture in several["pictures"]} == {ELSEWHERE}
    assert several["differential"]["answered"]["images"] == 0
    assert several["notes"][-1].startswith("The promise is not valid here: these 7 pictures")


def test_what_a_reader_must_know_is_noted(small, crops):
    bare = Predictor(small.network)
    record = served(bare).post("/answer", files=sent(crops[0])).json()
    assert record["notes"] == [NO_RULE]
    assert record["lab"] is None
    assert record["pictures"][0]["answer"]["score"] is None
    crowded = small_predictor()
    crowded.pictures = type(crowded.pictures)(0.9, 0.0, 0.0)  # knows nuclei that nearly fill the picture
    photograph = io.BytesIO()
    Image.fromarray(field([(100, 100), (300, 200)])).save(photograph, "png")
    record = served(crowded).post("/answer", files={"a": ("f.png", photograph.getvalue())}).json()
    assert FIELDS in record["notes"]
