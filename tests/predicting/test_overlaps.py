"""predict.py fields=true overlap=true: a cell in several photographs of a slide counts once."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.helpers.drawn_fields import photographed, scattered_places, smear
from tests.helpers.small_models import save_small_model
from tests.helpers.trees import write_image
from tests.helpers.verbs import run_verb
from wbc.errors import ConfigError
from wbc.predicting.found_cells import COUNTED_ELSEWHERE
from wbc.reviewing.cells import read_cells

SIZE, STEP = (360, 480), (250, 330)  # of a photograph: height and width; from one to the next
PLACES = scattered_places((860, 1140), 14)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """model.ckpt; slides/a: a smear in 3 x 3 photographs; slides/b: two that do not overlap."""
    folder = tmp_path_factory.mktemp("place")
    save_small_model(folder / "model.ckpt")
    whole = smear(PLACES, (860, 1140))
    for row in range(3):
        for column in range(3):
            y, x = row * STEP[0], column * STEP[1]
            part = photographed(whole[y : y + SIZE[0], x : x + SIZE[1]], 3 * row + column)
            write_image(folder / "slides" / "a" / f"{row}{column}.png", part)
    for seed in (20, 21):
        other = smear(scattered_places(SIZE, 2, seed), SIZE, seed)
        write_image(folder / "slides" / "b" / f"{seed}.png", other)
    return folder


@pytest.fixture(scope="module")
def counted(place):
    """The folder of predictions of both slides."""
    predicted(place, place / "counted", "overlap=true")
    return place / "counted"


def predicted(place, folder, *words):
    found = ("fields=true", "group=folder", f"images={place / 'slides'}")
    return run_verb("predict", place, *found, "accelerator=cpu", f"output={folder}", *words)


def in_the_smear(cells):
    """Centres (N, 2) of the boxes of slide a, in pixels of the whole smear."""
    names = cells["photograph"].str.extract(r"(\d)(\d)\.png$").astype(int).to_numpy()
    middles = (cells[["x0", "y0"]].to_numpy() + cells[["x1", "y1"]].to_numpy()) / 2
    return middles + names[:, ::-1] * STEP[::-1]


def test_each_cell_counts_once_where_it_is_seen_whole(counted):
    cells = pd.read_csv(counted / "cells.csv", keep_default_na=False)
    of_a = cells[cells["photograph"].str.contains("/a/")]
    kept, left = of_a[of_a["same_as"] == ""], of_a[of_a["same_as"] != ""]
    true = np.array(PLACES)
    away = np.linalg.norm(in_the_smear(kept)[:, None] - true, axis=2)
    assert sorted(away.argmin(axis=1)) == list(range(len(true)))
    assert away.min(axis=1).max() < 10
    assert (kept["at_border"] == "no").all()
    assert len(left) > 10
    assert (left["status"] == COUNTED_ELSEWHERE).all()
    assert (left["prediction"] == "").all()
    # Each names the crop of the cell that is kept, as predictions.csv has it, at the same place.
    answered = pd.read_csv(counted / "predictions.csv")["path"]
    assert left["same_as"].isin(answered).all()
    is_a = answered.str.contains("/a/").to_numpy()
    at = dict(zip(answered[is_a], in_the_smear(kept), strict=True))
    there = np.array([at[name] for name in left["same_as"]])
    assert np.linalg.norm(in_the_smear(left) - there, axis=1).max() < 30  # those at a border are cut


def test_the_differential_is_that_of_the_whole_smear(counted):
    record = json.loads((counted / "differential.json").read_text())
    assert {name: one["images"] for name, one in record["groups"].items()} == {"a": len(PLACES), "b": 4}
    cells = pd.read_csv(counted / "cells.csv", keep_default_na=False)
    assert record["not_counted"] == {COUNTED_ELSEWHERE: (cells["same_as"] != "").sum()}
    assert len(cells) == record["total"]["images"] + record["not_counted"][COUNTED_ELSEWHERE]


def test_which_photographs_overlap_is_listed_and_those_without_a_partner_are_named(place, tmp_path, caplog):
    predicted(place, tmp_path, "overlap=true")
    pairs = pd.read_csv(tmp_path / "overlaps.csv", keep_default_na=False)
    of_a = pairs[(pairs["group"] == "a") & (pairs["overlaps"] != "")]
    names = [of_a[column].str.extract(r"(\d)(\d)\.png$").astype(int) for column in ("photograph", "overlaps")]
    true = (names[1] - names[0]).to_numpy()[:, ::-1] * STEP[::-1]
    assert len(of_a) >= 9
    assert np.abs(of_a[["x", "y"]].astype(float).to_numpy() - true).max() < 2
    alone = pairs[(pairs["group"] == "b")]
    assert alone["overlaps"].tolist() == ["", ""]
    assert "have no part in common with another of their slide" in caplog.text
    assert "20.png" in caplog.text


def test_pictures_show_what_is_counted_elsewhere_as_such(counted):
    coco = json.loads((counted / "cells.coco.json").read_text())
    cells = pd.read_csv(counted / "cells.csv", keep_default_na=False)
    assert len(coco["annotations"]) == len(cells)  # a detector must learn that there is a cell
    statuses = [one["attributes"]["status"] for one in coco["annotations"]]
    assert statuses.count(COUNTED_ELSEWHERE) == (cells["same_as"] != "").sum()
    features = [
        one
        for file in (counted / "fields").glob("*.geojson")
        for one in json.loads(file.read_text())["features"]
    ]
    names = [one["properties"]["classification"]["name"] for one in features]
    assert names.count(COUNTED_ELSEWHERE) == statuses.count(COUNTED_ELSEWHERE)


def test_a_review_has_each_cell_once(counted):
    cells = read_cells(counted, "predictions.csv")
    assert len(cells) == len(PLACES) + 4
    assert (cells.boxes >= 0).all()


def test_without_the_setting_each_photograph_counts(place, tmp_path):
    predicted(place, tmp_path)
    record = json.loads((tmp_path / "differential.json").read_text())
    assert record["groups"]["a"]["images"] > len(PLACES) + 10
    assert not (tmp_path / "overlaps.csv").exists()


def test_slides_in_folders_without_group_are_one_slide(place, tmp_path):
    predicted(place, tmp_path, "overlap=true", "group=null")
    record = json.loads((tmp_path / "differential.json").read_text())
    assert record["total"]["images"] == len(PLACES) + 4
    assert record["groups"] == {}


def test_overlaps_of_crops_are_refused(place, tmp_path):
    with pytest.raises(ConfigError, match="give fields=true as well"):
        predicted(place, tmp_path, "overlap=true", "fields=false")
