"""predict.py fields=true: photographs in, cells with boxes and answers out."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.helpers.drawn_fields import field
from tests.helpers.small_models import save_small_model
from tests.helpers.trees import write_image
from tests.helpers.verbs import run_verb
from wbc.answers.checkpoint import load_model, save_model
from wbc.images.decode import decode
from wbc.labels import CLASSES
from wbc.plain.picture_check import PictureCheck
from wbc.predicting import finding


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """model.ckpt, and slides/ with photographs of two slides: two cells, one at the border, none, damaged."""
    folder = tmp_path_factory.mktemp("place")
    write_image(folder / "slides" / "a" / "two.png", field([(100, 100), (300, 200)]))
    write_image(folder / "slides" / "a" / "none.png", field([]))
    write_image(folder / "slides" / "b" / "border.png", field([(10, 180)]))
    (folder / "slides" / "b" / "damaged.png").write_bytes(b"?")
    save_small_model(folder / "model.ckpt")
    return folder


def predicted(place, folder, *words):
    return run_verb(
        "predict", place, f"images={place / 'slides'}", f"output={folder}", "accelerator=cpu", *words
    )


def test_cells_are_listed_drawn_and_counted_by_slide(place, tmp_path, caplog):
    assert predicted(place, tmp_path, "fields=true", "group=folder") == 1
    cells = pd.read_csv(tmp_path / "cells.csv", keep_default_na=False)
    names = cells["photograph"].map(lambda path: path.rpartition("/")[2])
    assert names.tolist() == ["two.png", "two.png", "border.png"]
    assert cells["at_border"].tolist() == ["no", "no", "yes"]
    assert cells["prediction"].isin(CLASSES).all()
    first = cells.iloc[0]
    assert first["x0"] < 100 < first["x1"]
    assert first["y0"] < 100 < first["y1"]
    np.testing.assert_allclose(cells[list(CLASSES)].sum(axis=1), 1, atol=1e-4)
    assert "damaged.png" in (tmp_path / "errors.csv").read_text()
    without = pd.read_csv(tmp_path / "no_cells.csv")["photograph"]
    assert [path.rpartition("/")[2] for path in without] == ["none.png"]
    assert "in 1 of the photographs no white cell was found" in caplog.text
    record = json.loads((tmp_path / "differential.json").read_text())
    assert {name: one["images"] for name, one in record["groups"].items()} == {"a": 2, "b": 2}
    assert record["total"]["unreadable"] == 1
    assert record["not_counted"] == {}
    drawn = sorted((tmp_path / "fields").glob("*.jpg"))
    assert [path.name.split("_")[1] for path in drawn] == ["two.jpg", "border.jpg"]
    picture, before = decode(drawn[0]), field([(100, 100), (300, 200)])
    assert picture.shape == before.shape
    assert np.abs(picture.astype(int) - before).max() > 100  # the boxes
    coco = json.loads((tmp_path / "cells.coco.json").read_text())
    assert [(one["width"], one["height"]) for one in coco["images"]] == [(480, 360), (480, 360)]
    names = {one["id"]: one["name"] for one in coco["categories"]}
    assert [names[one["category_id"]] for one in coco["annotations"]] == cells["prediction"].tolist()
    x, y, width, height = coco["annotations"][0]["bbox"]
    assert [x, y, x + width, y + height] == first[["x0", "y0", "x1", "y1"]].tolist()
    objects = json.loads(next((tmp_path / "fields").glob("*two.geojson")).read_text())["features"]
    assert objects[0]["geometry"]["coordinates"][0][2] == first[["x1", "y1"]].tolist()
    assert objects[0]["properties"]["classification"]["name"] == first["prediction"]
    crops = pd.read_csv(tmp_path / "predictions.csv")["path"].str.extract(r"xywh=\d+,\d+,(\d+),(\d+)")
    # In the crop the nucleus takes the share that the model knows: 38 px of 152.
    assert crops.astype(int).iloc[0].between(130, 170).all()


def test_photographs_without_the_setting_are_pointed_to_it(place, tmp_path, caplog):
    predictor = load_model(place / "model.ckpt")
    predictor.pictures = PictureCheck(0.9, 0.0, 0.0)  # knows nuclei that nearly fill the picture
    save_model(predictor, tmp_path / "model.ckpt", {})
    photograph = f"images={place / 'slides' / 'a' / 'two.png'}"
    run_verb("predict", tmp_path, photograph, f"output={tmp_path / 'out'}", "accelerator=cpu")
    assert "of photographs of whole fields fields=true finds the cells" in caplog.text


def test_an_interrupted_search_goes_on_with_the_photographs_that_are_left(place, tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "_PHOTOGRAPHS_A_CORE", 1)
    monkeypatch.setattr(finding, "available_cores", lambda: 1)
    looked_at, find = [], finding.cells_to_crop

    def stopped_at_the_second(rgb, share):
        looked_at.append(rgb.shape)
        if len(looked_at) == 2:
            raise KeyboardInterrupt
        return find(rgb, share)

    monkeypatch.setattr(finding, "cells_to_crop", stopped_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        predicted(place, tmp_path, "fields=true")
    assert len(looked_at) == 2
    assert predicted(place, tmp_path, "fields=true") == 1
    assert len(looked_at) == 4  # the first of the three that can be read is not looked at again
    assert len(pd.read_csv(tmp_path / "cells.csv")) == 3
    assert not (tmp_path / "parts").exists()


def test_the_same_command_again_ends_as_before_and_photographs_without_cells_are_no_error(place, tmp_path):
    predicted(place, tmp_path / "out", "fields=true")
    before = (tmp_path / "out" / "cells.csv").read_text()
    assert predicted(place, tmp_path / "out", "fields=true") == 1
    assert (tmp_path / "out" / "cells.csv").read_text() == before
    none = place / "slides" / "a" / "none.png"
    output = f"output={tmp_path / 'none'}"
    assert run_verb("predict", place, f"images={none}", output, "accelerator=cpu", "fields=true") == 0
    assert len(pd.read_csv(tmp_path / "none" / "cells.csv")) == 0
    assert json.loads((tmp_path / "none" / "differential.json").read_text())["total"]["images"] == 0
