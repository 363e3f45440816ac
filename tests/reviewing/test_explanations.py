"""Heat maps and known cells on demand: one at a time, beside decisions, and told where there are none."""

import io
import shutil
import threading
import time
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.known_model import write_known_model, write_predicted
from tests.helpers.reviewed import decide, opened, write_crops
from wbc.reviewing import explainer
from wbc.reviewing.explanations import FAILED, READY, WAITING, Explanation
from wbc.utils.files import read_json, write_json


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(predictions, model, known cells)."""
    folder = tmp_path_factory.mktemp("place")
    model, known = write_known_model(folder)
    return write_predicted(folder, model), model, known


def explained(client, cell, timeout_s=60):
    """What is told of it in the end."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = client.post("/api/explain", json={"cell": cell})
        assert answer.status_code == 200, answer.text
        if answer.json()["state"] != WAITING:
            return answer.json()
        time.sleep(0.05)
    raise AssertionError("no explanation came")


def test_the_heat_map_is_of_the_named_class_and_known_cells_are_named(place):
    predictions, model, known = place
    client = opened(predictions, model=model)
    client.review.explanations._known_cells = str(known)
    assert client.get("/api/session").json()["no_heat"] == ""
    assert client.get("/heat/3.jpg").status_code == 404  # nothing is made by looking
    told = explained(client, 3)
    cells = client.review.cells
    assert (told["state"], told["target"]) == (READY, cells.classes[cells.prediction[3]])
    shown = Image.open(io.BytesIO(client.get("/heat/3.jpg").content))
    assert shown.format == "JPEG"
    assert np.ptp(np.asarray(shown).mean(axis=2)) > 20
    alike = [one for one in told["known"] if one["label"] == told["target"]]
    assert len(alike) == 2  # of each class the model knows two
    assert len(told["known"]) == 3
    for place_of, one in enumerate(told["known"]):
        assert one["why"] == ""
        assert (known / one["name"]).is_file()
        small = Image.open(io.BytesIO(client.get(f"/known/3/{place_of}.jpg").content))
        there = np.asarray(Image.open(known / one["name"]).convert("RGB"), np.float32)
        assert np.abs(np.asarray(small, np.float32).mean((0, 1)) - there.mean((0, 1))).max() < 12
    assert client.get("/known/3/3.jpg").status_code == 404
    assert client.get("/heat/99.jpg").status_code == 404
    assert client.post("/api/explain", json={"cell": 99}).status_code == 404
    assert client.post("/api/explain", json={"cell": -1}).status_code == 422
    assert client.post("/api/explain", json={"cell": "../x"}).status_code == 422
    foreign = client.post("/api/explain", json={"cell": 3}, headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403


def test_where_known_pictures_are_gone_their_names_are_told(place):
    predictions, model, _ = place
    client = opened(predictions, model=model)
    told = explained(client, 0)
    assert {one["why"] for one in told["known"]} == {"picture not found here"}
    assert all(one["name"].endswith(".png") for one in told["known"])
    assert client.get("/known/0/0.jpg").status_code == 404


def test_a_model_that_is_not_at_hand_is_told(place, tmp_path):
    write_crops(tmp_path / "without")
    client = opened(tmp_path / "without")
    assert client.get("/api/session").json()["no_heat"] == "The predictions do not say which model made them."
    client = opened(place[0], model=tmp_path / "gone.ckpt")
    assert f"there is no file {tmp_path / 'gone.ckpt'}" in client.get("/api/session").json()["no_heat"]
    assert explained(client, 0)["state"] == FAILED
    assert client.review.explanations._thread is None


def test_another_model_at_its_place_is_refused_and_put_back_it_serves(place, tmp_path):
    predictions, model, _ = place
    other = tmp_path / "model.ckpt"
    shutil.copy(model, other)
    with other.open("ab") as file:
        file.write(b"x")
    told = explained(opened(predictions, model=other), 0)
    assert told["state"] == FAILED
    assert "is another model than the one that made the predictions" in told["why"]
    shutil.copy(model, other)  # the mend
    assert explained(opened(predictions, model=other), 0)["state"] == READY


class Bomb:
    """What a checkpoint could do that is opened without care."""

    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.parametrize("content", ["damaged", "code", "classes"])
def test_a_checkpoint_runs_no_code_and_what_is_wrong_is_told(place, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    predictions = tmp_path / "counted"
    shutil.copytree(place[0], predictions)
    file = tmp_path / "model.ckpt"
    if content == "damaged":
        file.write_bytes(b"no model")
    elif content == "code":
        torch.save({"network": Bomb()}, file)
    else:
        shutil.copy(place[1], file)
        header, rest = (predictions / "predictions.csv").read_text().split("\n", 1)
        table = f"{header.replace('Basophil', 'Blast')}\n{rest.replace('Basophil', 'Blast')}"
        (predictions / "predictions.csv").write_text(table)
    sources = read_json(predictions / "sources.json")
    del sources["model"]
    write_json(predictions / "sources.json", sources)
    said = explained(opened(predictions, model=file), 0)
    assert said["state"] == FAILED
    assert "sources.json is damaged" in said["why"]
    (predictions / "sources.json").unlink()  # the mend
    client = opened(predictions, model=file)
    said = explained(client, 0)
    assert said["state"] == FAILED
    assert str(file) in said["why"]
    assert not (tmp_path / "exploded").exists()
    assert decide(client, "Anna", [0], "Monocyte") == 1


def test_a_picture_that_is_gone_fails_alone(place, tmp_path):
    predictions, model, _ = place
    client = opened(predictions, model=model)
    path = client.review.cells.path(5)
    shutil.move(path, tmp_path / "moved.png")
    try:
        assert "No such file" in explained(client, 5)["why"]
        assert explained(client, 6)["state"] == READY
    finally:
        shutil.move(tmp_path / "moved.png", path)


class Held:
    """In the place of an Explainer: explains a cell once it is let go on."""

    go_on = threading.Event()
    begun: ClassVar[list[int]] = []

    def __init__(self, *given):
        pass

    def explain(self, cell):
        self.begun.append(cell)
        assert self.go_on.wait(30)
        if cell == 4:
            raise RuntimeError("out of memory")
        return Explanation({"state": READY, "target": "", "note": "", "known": []}, b"jpeg")


@pytest.fixture
def held(place, monkeypatch):
    monkeypatch.setattr(explainer, "Explainer", Held)
    Held.go_on.clear()
    Held.begun.clear()
    yield opened(place[0], model=place[1])
    Held.go_on.set()


def test_one_at_a_time_and_of_those_that_wait_the_last(held):
    ask = held.review.explanations.ask
    assert ask(0)["state"] == WAITING
    while not Held.begun:
        time.sleep(0.01)
    for cell in (1, 2, 3, 3, 0):
        assert ask(cell)["state"] == WAITING
    Held.go_on.set()
    assert explained(held, 3)["state"] == READY
    assert Held.begun == [0, 3]
    assert explained(held, 1)["state"] == READY  # who still wants it asks on
    assert explained(held, 4) == {"state": FAILED, "why": "out of memory"}
    assert explained(held, 5)["state"] == READY
    assert explained(held, 0)["state"] == READY
    assert Held.begun == [0, 3, 1, 4, 5]  # what was made is kept


def test_decisions_do_not_wait_for_a_heat_map(held):
    held.review.explanations.ask(0)
    while not Held.begun:
        time.sleep(0.01)
    began = time.monotonic()
    assert decide(held, "Anna", [0, 1], "Monocyte") == 2
    assert held.get("/api/tally?reviewer=Anna").json()["decided"] == 2
    assert time.monotonic() - began < 5  # and not the thirty seconds of the heat map


def test_what_was_explained_is_kept_within_bounds(held, monkeypatch):
    monkeypatch.setattr("wbc.reviewing.explanations._KEPT", 3)
    Held.go_on.set()
    for cell in (0, 1, 2, 3, 5):
        assert explained(held, cell)["state"] == READY
    assert [held.review.explanations.heat(cell) for cell in (0, 1, 2, 3, 5)] == [b"", b"", *[b"jpeg"] * 3]


def test_a_stopped_server_begins_no_more(held):
    held.review.explanations.ask(0)
    Held.go_on.set()
    held.review.explanations.close()
    assert not held.review.explanations._thread.is_alive()
    assert explained(held, 7) == {"state": FAILED, "why": "The server is being stopped."}
