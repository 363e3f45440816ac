"""Known cells in a run of explain: their pictures where they are found, their names where not."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.helpers.configs import composed_for
from wbc.answers.checkpoint import load_model, save_model
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.datasets.manifest import COLUMNS
from wbc.errors import ConfigError
from wbc.explaining.job import explain
from wbc.heat.known_pictures import KnownPictures
from wbc.heat.known_strip import SIDE
from wbc.heat.like_these import known_strip, like_lines
from wbc.images.prepare import Prepare
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.answers import ANSWERED, UNKNOWN
from wbc.plain.known_cells import KnownCell, KnownCells, LikeThese
from wbc.plain.picture_check import SEVERAL_CELLS
from wbc.plain.words import CellWords, Word
from wbc.settings.abstain import AbstainConfig
from wbc.settings.explain import ExplainConfig
from wbc.utils.short_names import names_below

CLASSES = ["Basophil", "Monocyte"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A run of a model that knows eight cells; its manifest tells of them and of training images."""
    folder = tmp_path_factory.mktemp("place")
    paths = []
    for number in range(8):
        path = folder / "val" / CLASSES[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), 20 * number, np.uint8)).save(path)
        paths.append(str(path))
    torch.manual_seed(0)
    predictor = Predictor(Network(Backbone("tf_efficientnet_lite0", 64), CLASSES))
    outputs, _, _ = predictor.answer_files(paths, 8, 0, "known")
    labels = torch.arange(8) % 2
    settings = AbstainConfig(0.2, 0.9, "knn", 0.95)
    predictor.rule = fit_rule(outputs.features, outputs.logits, labels, settings)
    predictor.known = KnownCells(names_below(paths), labels.numpy())
    (folder / "run").mkdir()
    save_model(predictor, folder / "run" / "model.ckpt", {})
    rows = [(path, CLASSES[number % 2], "val") for number, path in enumerate(paths)]
    rows += [(path.replace("/val/", "/train/"), label, "train") for path, label, _ in rows]
    frame = pd.DataFrame(rows, columns=["path", "label", "split"]).reindex(columns=COLUMNS, fill_value="")
    frame.to_csv(folder / "run" / "manifest.csv", index=False)
    return folder


def given(checkpoint: Path, images: Path, *others: str) -> ExplainConfig:
    return composed_for(
        "explain", ExplainConfig, f"checkpoint={checkpoint}", f"images={images}", "device=cpu", *others
    )


def test_a_model_tells_programs_which_cells_an_image_is_like(place):
    answers = load_model(place / "run" / "model.ckpt").predict([place / "val" / "Monocyte" / "3.png"])
    (like,) = answers.like_these
    near = {cell.name: cell.distance for cell in (*like.alike, like.other)}
    assert near["Monocyte/3.png"] == pytest.approx(0, abs=2e-3)
    assert len(near) == 4


def test_pictures_are_found_by_the_runs_manifest(place, tmp_path):
    checkpoint = place / "run" / "model.ckpt"
    assert explain(given(checkpoint, place / "val", "per_class=2"), tmp_path) == 0
    frame = pd.read_csv(tmp_path / "explanations.csv", keep_default_na=False)
    assert frame["like"].str.count(r"\.png \(").eq(3).all()
    assert frame["like_next"].str.match(r"(Basophil|Monocyte): \1/\d\.png \(").all()
    page = (tmp_path / "gallery.html").read_text()
    assert page.count("<p>like these, by distance:</p>") + page.count("<p>nearest of ") == 8
    assert page.count("<li>Basophil/") + page.count("<li>Monocyte/") == 4 * 3
    assert "with-known" in page
    known = load_model(checkpoint).known
    pictures = KnownPictures(known, checkpoint, None, Prepare(64), SIDE)
    assert all(pictures.picture(name).mean() == pytest.approx(20 * int(name[-5])) for name in known.names)


def test_where_they_are_gone_names_stay_and_a_folder_brings_them_back(place, tmp_path, caplog):
    alone = tmp_path / "alone" / "model.ckpt"
    alone.parent.mkdir()
    shutil.copy(place / "run" / "model.ckpt", alone)
    assert explain(given(alone, place / "val", "per_class=1"), tmp_path / "without") == 0
    assert "8 of 8 known cells are told by name alone" in caplog.text
    assert "says: Basophil/0.png, Monocyte/1.png, Basophil/2.png, ...; known_cells=<folder>" in caplog.text
    caplog.clear()
    folder = f"known_cells={place / 'val'}"
    assert explain(given(alone, place / "val", "per_class=1", folder), tmp_path / "with") == 0
    assert "by name alone" not in caplog.text
    without, found = (
        np.asarray(Image.open(tmp_path / run / "panels" / "000000.jpg")) for run in ("without", "with")
    )
    assert without.shape == found.shape
    assert (without != found).any()


def test_a_picture_that_is_damaged_or_gone_is_told_by_name(tmp_path, caplog):
    (tmp_path / "a.png").write_bytes(b"no image")
    known = KnownCells(("a.png", "b.png"), np.array([0, 0]))
    pictures = KnownPictures(known, tmp_path / "model.ckpt", str(tmp_path), Prepare(64), SIDE)
    assert "1 of 2 known cells are told by name alone" in caplog.text
    assert f"not in {tmp_path}: b.png;" in caplog.text
    assert pictures.picture("a.png") == "picture cannot be read"
    assert "known cell a.png" in caplog.text
    assert pictures.picture("b.png") == "picture not found here"


def test_a_folder_that_does_not_exist_is_refused_before_anything_is_explained(place, tmp_path):
    wrong = f"known_cells={tmp_path / 'nowhere'}"
    with pytest.raises(ConfigError, match=r"nowhere is no folder: .* Basophil/0\.png"):
        explain(given(place / "run" / "model.ckpt", place / "val", wrong), tmp_path / "run")
    assert not (tmp_path / "run" / "panels").exists()


def test_a_model_of_before_has_no_known_cells_and_no_columns(place, tmp_path):
    stored = torch.load(place / "run" / "model.ckpt", weights_only=True)
    del stored["known_cells"]
    torch.save(stored, tmp_path / "model.ckpt")
    assert load_model(tmp_path / "model.ckpt").predict([np.zeros((40, 40, 3), np.uint8)]).like_these == []
    assert explain(given(tmp_path / "model.ckpt", place / "val", "per_class=1"), tmp_path / "run") == 0
    assert not {"like", "like_next"} & set(pd.read_csv(tmp_path / "run" / "explanations.csv"))
    assert "with-known" not in (tmp_path / "run" / "gallery.html").read_text().partition("</style>")[2]


def test_a_folder_for_a_model_that_keeps_no_names_is_told(place, tmp_path, caplog):
    predictor = load_model(place / "run" / "model.ckpt")
    predictor.known = None
    save_model(predictor, tmp_path / "model.ckpt", {})
    asked = given(tmp_path / "model.ckpt", place / "val", "per_class=1", f"known_cells={place / 'val'}")
    assert explain(asked, tmp_path / "run") == 0
    assert "is not used: this model keeps no names of known cells" in caplog.text


def test_words_that_speak_come_first_and_what_is_far_is_told():
    words = (("cell_size", "big"), ("lobes", "2"), ("rim", "sharp"), ("hue", "red"), ("grain", "fine"))
    cell = KnownCell("A/1.png", "Monocyte", 0.5, words)
    spoken = (Word("grain", "fine", 1.0, True), Word("rim", "blurred", 0.9, True))
    speaking = CellWords((), spoken, (), "Monocyte", 1.0)
    strip = known_strip(LikeThese((cell,), None), speaking, ANSWERED, str.upper, True)
    assert strip.alike[0].words == [("grain", "fine"), ("rim", "sharp"), ("cell size", "big"), ("lobes", "2")]
    assert strip.alike[0].picture == "A/1.PNG", "is asked for by its whole name"
    assert strip.alike[0].lines == ("1.png", "Monocyte, 0.50")
    assert strip.titles[0] == "like these, by distance"
    assert strip.other is None
    far = known_strip(LikeThese((cell,), cell), speaking, UNKNOWN, str, True)
    assert far.titles[0] == "nearest of its class, but far"
    several = known_strip(LikeThese((cell,), cell), speaking, SEVERAL_CELLS, str, True)
    assert several.titles[0] == "nearest of its class, but this is not one cell"
    none = known_strip(LikeThese((), cell), speaking, ANSWERED, str, True)
    assert none.titles[0] == "no cell of its class is known"
    row = {"like": "a.png (0.10) | b.png (0.20)", "like_next": "B: c.png (0.50)", "predicted": "A"}
    next_one = ("nearest of the next class", ("B: c.png (0.50)",))
    alike = ("a.png (0.10)", "b.png (0.20)")
    assert like_lines(row | {"status": ANSWERED}) == (("like these, by distance", alike), next_one)
    assert like_lines(row | {"status": UNKNOWN}) == (("nearest of A, but far", alike), next_one)
    assert like_lines(row | {"status": ANSWERED, "like": ""}) == (next_one,)
    assert like_lines({"status": ANSWERED, "predicted": "A"}) == (), "of a model without known cells"
