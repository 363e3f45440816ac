"""predict.py fields=true of whole slides: tile by tile, and each cell once."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.helpers.drawn_fields import field, scattered_places
from tests.helpers.drawn_slides import slide_pixels, write_slide
from tests.helpers.small_models import save_small_model
from tests.helpers.trees import write_image
from tests.helpers.verbs import run_verb
from wbc.errors import ConfigError
from wbc.images.decode import decode
from wbc.predicting import finding, slide_search
from wbc.reviewing.cells import read_cells
from wbc.reviewing.pictures import Pictures

pytest.importorskip("openslide")

SHAPE = 1700, 5200
PLACES = scattered_places((1700, 4200), 30)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """model.ckpt; slides/ with a slide of several tiles, a damaged one, and a photograph of two cells."""
    folder = tmp_path_factory.mktemp("place")
    save_small_model(folder / "model.ckpt")
    write_slide(folder / "slides" / "a" / "slide.tif", slide_pixels(PLACES, SHAPE, 4200), 0.25)
    (folder / "slides" / "a" / "damaged.svs").write_bytes(b"no slide")
    write_image(folder / "slides" / "b" / "two.png", field([(100, 100), (300, 200)]))
    return folder


def predicted(place, folder, *words):
    words = ("fields=true", "group=folder", "accelerator=cpu", f"output={folder}", *words)
    return run_verb("predict", place, f"images={place / 'slides'}", *words)


@pytest.fixture(scope="module")
def counted(place):
    assert predicted(place, place / "counted") == 1
    return place / "counted"


def test_each_cell_is_found_once_wherever_tiles_end(counted):
    cells = pd.read_csv(counted / "cells.csv", keep_default_na=False)
    of_slide = cells[cells["photograph"].str.endswith("slide.tif")]
    middles = (of_slide[["x0", "y0"]].to_numpy() + of_slide[["x1", "y1"]].to_numpy()) / 2
    away = np.linalg.norm(middles[:, None] - np.array(PLACES), axis=2)
    assert sorted(away.argmin(axis=1)) == list(range(len(PLACES)))
    assert away.min(axis=1).max() < 10
    assert (of_slide["at_border"] == "no").all()
    record = json.loads((counted / "differential.json").read_text())
    assert record["groups"]["a"]["images"] == len(PLACES) + 1  # and the damaged one
    assert record["groups"]["b"]["images"] == 2
    assert "no slide that OpenSlide reads" in (counted / "errors.csv").read_text()


def test_a_slide_gets_an_overview_and_boxes_in_its_own_pixels(counted):
    drawn = decode(next((counted / "fields").glob("*slide.jpg")))
    assert max(drawn.shape) == 4096
    objects = json.loads(next((counted / "fields").glob("*slide.geojson")).read_text())["features"]
    assert len(objects) == len(PLACES)
    assert max(point[0] for one in objects for point in one["geometry"]["coordinates"][0]) > 3000
    coco = json.loads((counted / "cells.coco.json").read_text())
    assert (coco["images"][0]["width"], coco["images"][0]["height"]) == (SHAPE[1], SHAPE[0])


def test_a_review_shows_cells_of_a_slide_and_where_they_are(counted):
    cells = read_cells(counted, "predictions.csv")
    pictures = Pictures(cells)
    first = next(n for n in range(len(cells)) if cells.photograph_path(n).endswith("slide.tif"))
    assert pictures.size(first) == (SHAPE[1], SHAPE[0])
    assert decode(pictures.photograph(first)).shape[1] == 1600
    shown, crop = decode(pictures.picture(first)).astype(int), decode(cells.path(first))
    assert abs(shown.mean() - crop.mean()) < 3


def test_an_interrupted_slide_goes_on_with_the_tiles_that_are_left(place, tmp_path, monkeypatch):
    for module in (finding, slide_search):
        monkeypatch.setattr(module, "available_cores", lambda: 1)
    monkeypatch.setattr(slide_search, "_TILES_A_CORE", 1)
    looked_at, find = [], slide_search.find_white_cells

    def stopped_at_the_third(rgb):
        looked_at.append(rgb.shape)
        if len(looked_at) == 3:
            raise KeyboardInterrupt
        return find(rgb)

    monkeypatch.setattr(slide_search, "find_white_cells", stopped_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        predicted(place, tmp_path)
    assert predicted(place, tmp_path) == 1
    before = pd.read_csv(place / "counted" / "cells.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "cells.csv"), before)
    tiles = slide_search.tiles_of(slide_search.open_slide(str(place / "slides/a/slide.tif")), "")
    assert len(looked_at) == len(tiles.boxes) + 1  # the one that was stopped, twice
    assert not (tmp_path / "parts").exists()


def test_without_openslide_nothing_is_predicted(place, tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "missing_modules", list)
    with pytest.raises(ConfigError, match="pip install openslide-python openslide-bin"):
        predicted(place, tmp_path)


def test_photographs_that_overlap_may_lie_beside_slides(place, tmp_path):
    predicted(place, tmp_path, "overlap=true")
    overlaps = pd.read_csv(tmp_path / "overlaps.csv")
    assert overlaps["photograph"].map(lambda path: path.rpartition("/")[2]).tolist() == ["two.png"]


def test_slides_without_fields_are_passed_over_or_pointed_to_it(place, tmp_path):
    slide = place / "slides" / "a" / "slide.tif"
    words = (f"images={slide}", f"output={tmp_path}", "accelerator=cpu")
    assert run_verb("predict", place, *words) == 1
    assert "found by wbc predict fields=true" in (tmp_path / "errors.csv").read_text()
