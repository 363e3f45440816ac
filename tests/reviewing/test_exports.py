"""What a review leaves: tables that others read, and the report of the slide."""

import json

import pandas as pd
import pytest
import torch

from tests.helpers.commands import typed
from tests.helpers.html_checks import NASTY, Elements, requests
from tests.helpers.reviewed import decide, opened, write_crops, write_photographs
from tests.helpers.small_runs import SMALL
from tests.helpers.verbs import run_verb
from wbc.answers.checkpoint import save_model
from wbc.answers.predictor import Predictor
from wbc.datasets.find_images import find_images
from wbc.labels import CLASSES, ClassNames
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.reviewing.exports import EXPORTS

COUNT = 40


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    """A folder whose cells two people looked at: all but the last four have a class, round and round."""
    folder = tmp_path_factory.mktemp("predictions")
    write_crops(folder, COUNT)
    client = opened(folder)
    for place, name in enumerate(CLASSES):
        decide(client, "Anna", list(range(place, COUNT - 4, 5)), name)
    decide(client, "Anna", [COUNT - 4], "(artefact)")
    decide(client, "Anna", [COUNT - 3], "(unknown)")
    decide(client, "Ben", [0, 1], CLASSES[0])  # cell 1 otherwise than Anna
    answer = client.post("/api/export", json={})
    assert answer.json() == {"folder": str(folder / "review"), "files": list(EXPORTS)}
    return client, folder / "review"


def test_every_file_is_there_and_can_be_fetched(reviewed):
    client, folder = reviewed
    for name in EXPORTS:
        assert client.get(f"/exports/{name}").content == (folder / name).read_bytes()
    assert "default-src 'none'" in client.get("/exports/report.html").headers["content-security-policy"]
    assert "attachment" in client.get("/exports/reviewed.csv").headers["content-disposition"]


def test_reviewed_cells_have_what_now_counts_and_who_said_what(reviewed):
    _, folder = reviewed
    rows = pd.read_csv(folder / "reviewed.csv", keep_default_na=False)
    assert len(rows) == COUNT
    own = rows["prediction"] == rows["reviewed"]
    assert rows["review"][0] == ("confirmed" if own[0] else "changed")
    assert rows.loc[1, ["reviewed", "review", "by Anna", "by Ben"]].tolist() == [
        *("", "disagreed"),
        *(CLASSES[1], CLASSES[0]),
    ]
    assert rows["reviewed"][2:36].tolist() == [CLASSES[place % 5] for place in range(2, 36)]
    assert rows["review"][36:].tolist() == ["artefact", "unknown", "not looked at", "not looked at"]
    assert rows["reviewed"][38] == rows["prediction"][38]
    assert set(rows["group"]) == {"a", "b"}


def test_the_differential_counts_the_same_rows(reviewed):
    _, folder = reviewed
    rows = pd.read_csv(folder / "reviewed.csv", keep_default_na=False)
    record = json.loads((folder / "differential.json").read_text())
    counted = rows["reviewed"].where(rows["reviewed"] != "", rows["prediction"]).value_counts()
    total = record["total"]
    assert {name: one["count"] for name, one in total["reviewed"]["classes"].items()} == {
        name: counted.get(name, 0) for name in CLASSES
    }
    assert (total["decided"], total["disagreed"], total["artefacts"], total["unknown"]) == (37, 1, 1, 1)
    assert {name: one["cells"] for name, one in record["groups"].items()} == {"a": 26, "b": 14}
    assert record["reviewers"] == {"Anna": 38, "Ben": 2}
    assert [(pair["cells"], pair["same"]) for pair in record["agreement"]] == [(2, 1)]


def test_the_trail_has_every_decision(reviewed):
    _, folder = reviewed
    rows = pd.read_csv(folder / "decisions.csv", keep_default_na=False)
    assert len(rows) == 40
    assert rows["number"].tolist() == list(range(1, 41))
    assert rows.iloc[-1][["reviewer", "cell", "before", "after"]].tolist() == ["Ben", 1, "", CLASSES[0]]
    assert pd.to_datetime(rows["at"]).is_monotonic_increasing


def test_the_report_stands_alone_and_says_what_was_counted(reviewed):
    _, folder = reviewed
    text = (folder / "report.html").read_text()
    page = Elements(text)
    assert requests(text) == []
    assert page.text("h1") == [f"Reviewed white cell differential: {folder.parent.name}"]
    assert "40 white cells were found and named by a program; a person looked at 38 of them." in page.text(
        "p"
    )
    assert "About 1 cells reviewers disagree; they count as the program named them." in " ".join(
        page.text("p")
    )
    titles = page.text("h2")
    for title in ("Differential", "Who looked", "Artefacts: 1", "Unknown cells: 1", "Reviewers disagree: 1"):
        assert title in titles
    assert "Signature" in page.text("span")
    assert {"Anna", "Ben", "Anna and Ben"} <= set(page.text("th"))


def test_what_is_to_be_known_of_another_lab_stands_on_the_page_and_in_the_report(tmp_path):
    write_crops(tmp_path, 3)
    client = opened(tmp_path, caution="The promise is not valid here.")
    assert client.get("/api/session").json()["caution"] == "The promise is not valid here."
    client.post("/api/export", json={})
    page = Elements((tmp_path / "review" / "report.html").read_text())
    assert "The promise is not valid here." in page.text("p")


def test_names_of_files_are_text_in_the_report(tmp_path):
    write_crops(tmp_path, 3, names="{}" + NASTY.replace("/", "_"))
    client = opened(tmp_path)
    decide(client, "Anna", [0, 1], "(unknown)")
    client.post("/api/export", json={})
    text = (tmp_path / "review" / "report.html").read_text()
    assert Elements(text).all("script") == []


def test_pictures_that_are_gone_leave_the_report_whole(tmp_path):
    write_photographs(tmp_path)
    client = opened(tmp_path)
    decide(client, "Anna", [0, 2], "(artefact)")
    (tmp_path / "one.png").unlink()
    assert client.post("/api/export", json={}).status_code == 200
    text = (tmp_path / "review" / "report.html").read_text()
    assert "not shown: No such file" in text
    assert len(Elements(text).all("img")) == 1


@pytest.mark.parametrize("write", [write_crops, write_photographs])
def test_the_labelled_table_is_one_that_the_verbs_read(tmp_path, write):
    write(tmp_path)
    client = opened(tmp_path)
    decide(client, "Anna", [0], "Monocyte")
    decide(client, "Anna", [2], "Basophil")
    decide(client, "Anna", [1], "(artefact)")
    client.post("/api/export", json={})
    found = find_images(
        str(tmp_path / "review" / "labelled.csv"), ClassNames(CLASSES), tmp_path / "model.ckpt"
    )
    assert found["path"].tolist() == [client.review.cells.path(0), client.review.cells.path(2)]
    assert found["label"].tolist() == ["Monocyte", "Basophil"]


def test_adapt_learns_from_what_was_labelled(reviewed, tmp_path):
    _, folder = reviewed
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 32), CLASSES).eval()
    save_model(Predictor(network), tmp_path / "model.ckpt", {})
    words = [
        f"data={folder / 'labelled.csv'}",
        "views=1",
        f"checks_dir={tmp_path}",
        "device=cpu",
        "workers=0",
    ]
    run_verb("adapt", tmp_path, *words, folder=tmp_path / "adapted")
    used = pd.read_csv(tmp_path / "adapted" / "manifest.csv", keep_default_na=False)
    assert (len(used), set(used["label"])) == (35, set(CLASSES))
    assert (tmp_path / "adapted" / "model.ckpt").is_file()


@pytest.mark.slow  # a training
def test_train_learns_from_what_was_labelled_and_parts_no_slide(tmp_path):
    write_crops(tmp_path, 120, slides="abcdefghijkl")
    client = opened(tmp_path)
    for place, name in enumerate(CLASSES):
        decide(client, "Anna", list(range(place, 120, 5)), name)
    client.post("/api/export", json={})
    table = f"data.root={tmp_path / 'review' / 'labelled.csv'}"
    words = [word for word in SMALL if not word.startswith("data")]
    data = ["data=manifest", table, "data.workers=0", f"data.checks_dir={tmp_path}"]
    done = typed("train.py", *data, *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stdout + done.stderr
    used = pd.read_csv(tmp_path / "run" / "manifest.csv", keep_default_na=False)
    assert len(used) == 120
    assert (used.groupby("group")["split"].nunique() == 1).all()
    assert (tmp_path / "run" / "model.ckpt").is_file()
