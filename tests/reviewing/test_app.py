"""What the page asks the server: cells page by page, pictures, counts, and decisions of two reviewers."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.helpers.drawn_fields import field
from tests.helpers.reviewed import decide, opened, write_crops, write_photographs
from wbc.images.decode import decode
from wbc.labels import CLASSES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("predictions")
    write_crops(made, 50)
    return made


@pytest.fixture
def client(folder):
    for file in (folder / "review").glob("decisions.sqlite*"):
        file.unlink()
    return opened(folder)


def ids(client, **search):
    answer = client.get("/api/cells", params=search)
    assert answer.status_code == 200, answer.text
    return [cell["id"] for cell in answer.json()["cells"]]


def test_pages_follow_each_other_without_gap_though_cells_are_decided_meanwhile(client):
    """A page by its number would pass over as many cells as were decided on the one before."""
    seen, after = [], -1
    while True:
        page = client.get(
            "/api/cells", params={"reviewer": "Anna", "show": "open", "after": after, "count": 7}
        ).json()
        if not page["cells"]:
            break
        found = [cell["id"] for cell in page["cells"]]
        decide(client, "Anna", found[:5], "Monocyte")
        seen += found
        after = page["cells"][-1]["place"]
    assert sorted(seen) == list(range(50))
    assert seen == ids(client, count=50)
    back = client.get("/api/cells", params={"before": after, "count": 7}).json()
    assert [cell["id"] for cell in back["cells"]] == seen[-8:-1]
    assert back["first"] == 42
    assert len(ids(client, reviewer="Anna", show="open")) == 50 - 5 * 7 - 1
    assert len(ids(client, reviewer="Anna", show="seen")) == 36


def test_filters_leave_what_they_say(client):
    cells = client.review.cells
    session = client.get("/api/session").json()
    status = next(place for place, one in enumerate(session["statuses"]) if one["name"] == "uncertain")
    assert set(ids(client, status=status)) == set(np.flatnonzero(cells.status == status))
    assert set(ids(client, group=1)) == set(np.flatnonzero(cells.group == 1))
    assert ids(client, name="/B/3") == [n for n in ids(client) if n % 3 == 0 and str(n).startswith("3")]
    assert ids(client, name="nowhere") == []
    monocyte = CLASSES.index("Monocyte")
    called = np.flatnonzero(cells.prediction == monocyte).tolist()
    assert set(ids(client, verdict=monocyte)) == set(called)
    decide(client, "Anna", called[:1], "(artefact)")
    assert set(ids(client, verdict=monocyte, reviewer="Anna")) == set(called[1:])
    assert ids(client, verdict=5, reviewer="Anna") == called[:1]
    assert ids(client, show="changed", reviewer="Anna") == called[:1]
    assert ids(client, order="file") == list(range(50))


@pytest.mark.parametrize(
    "search",
    [
        {"order": "x"},
        {"show": "x"},
        {"count": 0},
        {"count": 501},
        {"status": "x"},
        {"x": 1},
        {"name": "a" * 201},
    ],
)
def test_a_search_that_does_not_exist_is_refused(client, search):
    assert client.get("/api/cells", params=search).status_code in (400, 422)


def test_a_second_reviewer_sees_the_first_ones_word_only_behind_his_own(client):
    decide(client, "Anna", [3], "Monocyte")
    assert client.get("/api/cells/3", params={"reviewer": "Ben"}).json()["others"] == []
    assert client.get("/api/cells/3", params={"reviewer": "Ben"}).json()["history"] == []
    assert ids(client, show="split", reviewer="Ben") == []
    decide(client, "Ben", [3, 4], "Basophil")
    told = client.get("/api/cells/3", params={"reviewer": "Ben"}).json()
    assert told["others"] == [["Anna", CLASSES.index("Monocyte")]]
    assert [(one["reviewer"], one["after"]) for one in told["history"]] == [
        ("Anna", "Monocyte"),
        ("Ben", "Basophil"),
    ]
    assert ids(client, show="split", reviewer="Ben") == [3]
    said = client.get("/api/agreement").json()
    assert said["reviewers"] == {"Anna": 1, "Ben": 2}
    assert [(pair["cells"], pair["same"]) for pair in said["pairs"]] == [(1, 0)]


def test_counts_follow_decisions_and_their_undoing(client):
    before = client.get("/api/tally", params={"reviewer": "Anna"}).json()
    assert before["machine"] == before["reviewed"]
    assert not before["can_undo"]
    wrong = [cell for cell in range(50) if client.review.decisions.of("Anna")[cell] < 0][:2]
    decide(client, "Anna", wrong, "(unknown)")
    now = client.get("/api/tally", params={"reviewer": "Anna"}).json()
    assert (now["reviewed"]["images"], now["unknown"], now["can_undo"]) == (48, 2, True)
    assert client.get("/api/tally", params={"reviewer": "Ben"}).json()["reviewed"]["images"] == 50
    assert client.get("/api/tally", params={"reviewer": "Anna", "group": 0}).json()["cells"] == 33
    undone = client.post("/api/undo", json={"reviewer": "Anna"}).json()
    assert undone == {"cells": [[cell, -1] for cell in wrong]}
    assert client.get("/api/tally", params={"reviewer": "Anna"}).json()["reviewed"] == before["reviewed"]
    assert client.post("/api/undo", json={"reviewer": "Anna"}).json() == {"cells": []}


def opened_picture(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


def test_pictures_are_of_the_cell_and_of_its_photograph(tmp_path):
    write_photographs(tmp_path)
    client = opened(tmp_path)
    small = opened_picture(client, "/thumbnail/1.jpg")
    assert small.size == (176, 176)
    shown = np.asarray(small.resize((100, 100)), np.int32)
    there = field([(100, 100), (300, 200)])[150:250, 250:350].astype(np.int32)
    assert np.abs(shown - there).mean() < 12  # JPEG, twice resized
    assert opened_picture(client, "/picture/1.jpg").size == (
        200,
        200,
    )  # a crop of 100 px is not blown up further
    assert opened_picture(client, "/photograph/1.jpg").size == (960, 720)
    told = client.get("/api/cells/1").json()
    assert told["photograph"]["size"] == [480, 360]
    assert [one["box"] for one in told["photograph"]["cells"]] == [[70, 70, 130, 130], [270, 170, 330, 230]]
    assert told["photograph"]["name"] == "one.png"


def test_a_photograph_is_decoded_once_for_all_its_cells(tmp_path, monkeypatch):
    write_photographs(tmp_path)
    client = opened(tmp_path)
    read = []
    monkeypatch.setattr("wbc.reviewing.pictures.decode", lambda path: read.append(path) or decode(path))
    for address in (
        "/thumbnail/0.jpg",
        "/thumbnail/1.jpg",
        "/photograph/0.jpg",
        "/api/cells/1",
        "/thumbnail/0.jpg",
    ):
        assert client.get(address).status_code == 200
    assert read == [str(tmp_path / "one.png")]


def test_an_image_that_is_gone_is_named_and_the_others_stay(tmp_path):
    write_photographs(tmp_path)
    client = opened(tmp_path)
    (tmp_path / "one.png").unlink()
    (tmp_path / "two.png").write_bytes(b"?")
    gone = client.get("/thumbnail/0.jpg")
    assert (gone.status_code, "No such file" in gone.text) == (404, True)
    assert "no JPEG, PNG" in client.get("/picture/2.jpg").text
    assert client.get("/api/cells/0").json()["photograph"] is None
    assert client.get("/api/tally").status_code == 200
    assert decide(client, "Anna", [0], "Monocyte") == 1


def test_names_of_files_are_told_as_text(tmp_path):
    write_crops(tmp_path, 3, names="<img src=x onerror=alert(1)>{}.png")
    client = opened(tmp_path)
    answer = client.get("/api/cells")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["cells"][0]["name"].startswith("<img")
    client.post("/api/export", json={})
    assert "<img src=x" not in client.get("/exports/report.html").text


def test_a_decision_that_cannot_be_kept_is_told_and_not_taken(client):
    client.review.decisions._file.execute("PRAGMA query_only = 1")
    told = client.post("/api/decide", json={"reviewer": "Anna", "cells": [1], "verdict": "Monocyte"})
    assert told.status_code == 507
    assert "not kept" in told.text
    assert client.get("/api/tally", params={"reviewer": "Anna"}).json()["decided"] == 0
