"""Settling into the lab: what may be begun, by which words it runs, and that nothing else is touched."""

import csv
import hashlib
from typing import ClassVar

import pytest

from tests.helpers.reviewed import decide, opened, write_crops, write_photographs
from wbc.labels import CLASSES
from wbc.reviewing import settling
from wbc.reviewing.order import review_order
from wbc.reviewing.settled import cautions
from wbc.reviewing.tally import shared_verdicts, tally
from wbc.utils.files import write_json


class Stub:
    """In the place of a command: it runs until a test ends it."""

    made: ClassVar[list["Stub"]] = []

    def __init__(self, words, folder, last):
        self.words, self.folder, self.last = words, folder, last
        self.began, self.said, self.share, self.why = 0.0, "computing features: 3 of 6 cells", 0.5, ""
        self.is_running, self.is_stopped = True, False
        self.made.append(self)

    @property
    def has_finished(self):
        return not self.is_running and self.last.exists()

    def stop(self):
        self.is_running, self.is_stopped = False, True

    def finish(self, **metrics):
        """It wrote what `wbc adapt` writes."""
        interval = {"estimate": 0.1, "low": -0.05, "high": 0.2}
        both = {"accuracy": interval, "macro_f1": interval}
        told = {
            "verdict": "helped",
            "mix": None,
            "cells": {"Monocyte": 4},
            "cross_validation": {"intervals": {"before": both, "after": both, "gain": both}},
        }
        self.last.parent.mkdir(parents=True)
        write_json(self.last.parent / "metrics.json", told | metrics)
        self.last.write_bytes(b"model")
        self.is_running = False

    def name(self, source):
        """It wrote what `wbc predict` writes: the same table."""
        self.last.parent.mkdir(parents=True)
        (self.last.parent / "predictions.csv").write_bytes((source / "predictions.csv").read_bytes())
        self.last.write_text("{}")
        self.is_running = False


@pytest.fixture(autouse=True)
def stubs(monkeypatch):
    monkeypatch.setattr(settling, "BackgroundCommand", Stub)
    Stub.made = []
    return Stub.made


@pytest.fixture
def client(tmp_path):
    """Before thirty cells, of which six have a label, one is an artefact, and on one two people disagree."""
    folder = tmp_path / "it's {a} slide"
    write_crops(folder, 30)
    (folder / "model.ckpt").write_bytes(b"model")
    images = folder / "cells"
    (folder / "config.yaml").write_text(
        f'checkpoint: x\nimages: "{images}"\ntable: predictions.csv\ngroup: folder\nfields: false\n'
    )
    made = opened(folder, model=folder / "model.ckpt")
    decide(made, "Anna", [0, 1, 2], "Monocyte")
    decide(made, "Anna", [3, 4, 5], "Basophil")
    decide(made, "Anna", [6], "(artefact)")
    decide(made, "Anna", [7], "Basophil")
    decide(made, "Ben", [7], "Monocyte")
    return made


def shared(client):
    """What Anna and Ben both say."""
    both = [client.review.decisions.of(name) for name in ("Anna", "Ben")]
    return shared_verdicts(both, len(client.review.cells))


def settle(client, step, reviewer="Anna"):
    return client.post("/api/settle", json={"reviewer": reviewer, "step": step})


def state(client):
    return client.get("/api/settling").json()


def contents(folder):
    """What lies there beside what settling wrote."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "settled_" not in str(path) and "sqlite" not in path.name
    }


def test_measured_then_named_and_all_else_untouched(client, stubs):
    folder = client.review.cells.photograph_path(0).rpartition("/cells/")[0]
    review = client.review.folder
    before, decided = contents(review.parent), client.review.decisions.rows()
    told = settle(client, "measure").json()
    assert told["running"]["what"] == "measuring"
    assert (told["running"]["by"], told["running"]["share"]) == ("Anna", 0.5)
    ordinary = set(review_order(client.review.cells)[15:].tolist()) & set(range(6))
    assert told["used"] == {
        "cells": 6,
        "ordinary": len(ordinary),
        "not_counted": 1,
        "disagreed": 1,
    }
    words = dict(word.split("=", 1) for word in stubs[0].words[1:])
    assert stubs[0].words[0] == "adapt"
    assert words["checkpoint"] == f'"{folder}/model.ckpt"'  # as Hydra takes blanks and brackets
    assert words["hydra.run.dir"] == f'"{review / "settled_1" / "adapted"}"'
    reviewed = tally(client.review.cells, shared(client))["reviewed"]["classes"]
    mix = ", ".join(f"{name}: {one['count']}" for name, one in reviewed.items())
    assert words["mix"] == f"{{{mix}}}"
    rows = list(csv.DictReader((review / "settled_1" / "labelled.csv").open()))
    assert [row["label"] for row in rows] == ["Monocyte"] * 3 + ["Basophil"] * 3
    stubs[0].finish()
    told = state(client)
    assert (told["stage"], told["running"], told["named"]) == ("measured", None, None)
    assert (told["measured"]["by"], told["measured"]["cells"]) == ("Anna", 6)
    assert not (review / "settled_1" / "predictions").exists()  # nothing is named unless asked for
    assert settle(client, "use", "Ben").json()["running"]["by"] == "Ben"
    words = dict(word.split("=", 1) for word in stubs[1].words[1:])
    assert stubs[1].words[0] == "predict"
    assert words["checkpoint"] == f'"{review / "settled_1" / "adapted" / "model.ckpt"}"'
    assert words["images"] == f'"{folder}/cells"'
    assert (words["group"], words["fields"], words["table"]) == ("folder", "false", "predictions.csv")
    assert words["output"] == f'"{review / "settled_1" / "predictions"}"'
    stubs[1].name(review.parent)
    told = state(client)
    assert told["stage"] == "named"
    assert (told["named"]["same_cells"], told["named"]["otherwise"]) == (30, 0)
    assert told["named"]["first"] == told["named"]["anew"]
    assert contents(review.parent) == before
    assert client.review.decisions.rows() == decided
    decide(client, "Anna", [8], "Monocyte")
    assert settle(client, "use").status_code == 409  # it has named them
    assert settle(client, "measure").json()["used"]["cells"] == 7
    assert (review / "settled_2" / "labelled.csv").read_text().count("\n") == 8
    assert (review / "settled_1" / "labelled.csv").read_text().count("\n") == 7


def test_a_second_one_is_refused_by_the_name_of_who_began(client, stubs):
    settle(client, "measure", "Anna")
    for step in ("measure", "use"):
        refused = settle(client, step, "Ben")
        assert refused.status_code == 409
        assert refused.text.startswith("Anna began measuring at ")
        assert "still runs: wait for it, or cancel it" in refused.text
    assert len(stubs) == 1
    assert settle(client, "cancel", "Ben").json()["running"] is None  # the mend
    assert settle(client, "measure", "Ben").json()["running"]["by"] == "Ben"


def test_cancelled_nothing_is_left_and_nothing_failed(client, stubs):
    assert settle(client, "cancel").status_code == 409
    settle(client, "measure")
    told = settle(client, "cancel").json()
    assert (told["running"], told["failed"], told["stage"]) == (None, "", "")
    assert not (client.review.folder / "settled_1").exists()
    settle(client, "measure")
    stubs[-1].finish()
    settle(client, "use")
    (client.review.folder / "settled_1" / "predictions" / "parts").mkdir(parents=True)
    assert settle(client, "cancel").json()["stage"] == "measured"
    assert not (client.review.folder / "settled_1" / "predictions").exists()
    assert settle(client, "use").status_code == 200


def test_what_failed_is_told(client, stubs):
    settle(client, "measure")
    stubs[0].why, stubs[0].is_running = "data=x: 6 cells to adapt by, which is too few", False
    assert state(client)["failed"] == "data=x: 6 cells to adapt by, which is too few"
    assert not (client.review.folder / "settled_1").exists()
    settle(client, "measure")
    assert state(client)["failed"] == ""


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({}, "0 labelled cells are too few to settle by: it takes 5 or more"),
        ({"Monocyte": 1}, "1 labelled cell is too few"),
        ({"Monocyte": 6}, "6 labelled cells are too few to settle by: it takes two classes or more"),
    ],
)
def test_too_few_labelled_cells_are_told_in_plain_words(tmp_path, stubs, labels, said):
    write_crops(tmp_path, 12)
    (tmp_path / "model.ckpt").write_bytes(b"model")
    client = opened(tmp_path, model=tmp_path / "model.ckpt")
    for name, count in labels.items():
        decide(client, "Anna", list(range(count)), name)
    assert said in state(client)["lacking"]
    refused = settle(client, "measure")
    assert (refused.status_code, said in refused.text) == (409, True)
    assert not stubs
    decide(client, "Anna", [6, 7, 8, 9, 10, 11], "Basophil")
    decide(client, "Anna", [0], "Monocyte")  # the mend
    assert settle(client, "measure").status_code == 200


def test_cells_of_one_photograph_cannot_be_held_out(tmp_path):
    write_photographs(tmp_path)
    client = opened(tmp_path, model=tmp_path / "model.ckpt")
    decide(client, "Anna", [0, 1], "Monocyte")
    decide(client, "Anna", [2], "Basophil")
    assert "it takes 5 or more" in state(client)["lacking"]


def test_without_the_model_that_is_said(tmp_path, stubs):
    write_crops(tmp_path, 12)
    client = opened(tmp_path, model=tmp_path / "gone.ckpt")
    decide(client, "Anna", [0, 1, 2, 3], "Monocyte")
    decide(client, "Anna", [4, 5, 6, 7], "Basophil")
    assert "there is no file" in state(client)["missing"]
    assert "there is no file" in settle(client, "measure").text
    assert not stubs


def test_how_the_images_were_answered_has_to_be_known(client, stubs):
    settle(client, "measure")
    stubs[0].finish()
    config = client.review.folder.parent / "config.yaml"
    config.rename(config.with_name("moved"))
    assert "which says how the images were answered" in settle(client, "use").text
    config.write_text("images: [1]\n")
    assert "names no images" in settle(client, "use").text
    config.with_name("moved").rename(config)
    assert settle(client, "use").status_code == 200


def test_what_a_killed_server_left_is_removed_and_what_it_measured_is_there(client, stubs, tmp_path):
    folder = client.review.folder
    settle(client, "measure")
    stubs[0].finish()
    settle(client, "use")
    (folder / "settled_1" / "predictions").mkdir()
    half = folder / "settled_2"
    half.mkdir()
    (half / "settling.json").write_text("{}")
    own = folder / "settled_7"  # somebody's own, without our mark
    own.mkdir()
    (own / "notes.txt").write_text("mine")
    again = opened(folder.parent, model=folder.parent / "model.ckpt")
    told = state(again)
    assert (told["stage"], told["running"]) == ("measured", None)
    assert told["measured"]["cells"] == 6
    assert not half.exists()
    assert not (folder / "settled_1" / "predictions").exists()
    assert (own / "notes.txt").read_text() == "mine"
    settle(again, "measure")
    assert (folder / "settled_8").is_dir()


def test_a_server_that_stops_ends_it(client, stubs):
    settle(client, "measure")
    client.review.settling.close()
    assert stubs[0].is_stopped
    assert not (client.review.folder / "settled_1").exists()


@pytest.mark.parametrize(
    "told",
    [
        {"reviewer": "Anna"},
        {"reviewer": "Anna", "step": "adapt"},
        {"reviewer": "<b>", "step": "measure"},
        {"reviewer": "Anna", "step": "measure", "checkpoint": "/etc/passwd"},
    ],
)
def test_what_a_browser_cannot_ask(client, stubs, told):
    assert client.post("/api/settle", json=told).status_code == 422
    assert not stubs


def test_other_pages_and_those_without_the_token_cannot_begin_it(client, tmp_path, stubs):
    evil = {"origin": "http://evil.example"}
    told = {"reviewer": "Anna", "step": "measure"}
    assert client.post("/api/settle", json=told, headers=evil).status_code == 403
    assert client.get("/api/settle").status_code == 405
    guarded = opened(client.review.folder.parent, token="secret", model=tmp_path / "model.ckpt")
    for answer in (guarded.post("/api/settle", json=told), guarded.get("/api/settling")):
        assert answer.status_code == 401
    assert guarded.post("/api/explain", json={"cell": 0}).status_code == 401
    assert not stubs


def test_cautions_tell_of_few_cells_of_doubtful_ones_and_of_a_gain_that_may_be_chance():
    cells = dict(zip(CLASSES, (12, 9, 0, 10, 40), strict=True))
    few, chance = cautions({"cells": 71, "ordinary": 30}, cells, {"estimate": 0.1, "low": -0.01, "high": 0.2})
    assert few.startswith("Few labelled cells: Eosinophil 9, Lymphocyte 0.")
    assert "may be chance" in chance
    enough = dict.fromkeys(CLASSES, 10)
    sure, worse = {"estimate": 0.1, "low": 0.01, "high": 0.2}, {"estimate": -0.1, "low": -0.2, "high": 0.1}
    assert cautions({"cells": 50, "ordinary": 13}, enough, sure) == []
    (doubtful,) = cautions({"cells": 50, "ordinary": 12}, enough, sure)
    assert doubtful.startswith("Only 12 of 50 labelled cells are of the less doubtful half.")
    assert cautions({"cells": 50, "ordinary": 25}, enough, worse)[0].startswith("Accuracy falls")
