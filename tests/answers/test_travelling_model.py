"""The model that travels with wbc: what is in the file, and by which word it is found."""

import re
from pathlib import Path

import numpy as np

import wbc
from tests.helpers.places import ROOT
from wbc.answers.checkpoint import load_model, load_provenance
from wbc.labels import CLASSES
from wbc.settings.paths import PRETRAINED, absolute, model_path
from wbc.synthetic.draw import LABS, draw_cell

FILE = ROOT / "wbc" / "pretrained" / "model.ckpt"


def strings(value):
    if isinstance(value, dict):
        for key, one in value.items():
            yield from strings(key)
            yield from strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


def test_its_word_leads_to_it_and_a_file_of_that_name_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_path(PRETRAINED) == str(FILE)
    assert model_path(None) is None
    assert model_path("run/model.ckpt") == absolute("run/model.ckpt")
    Path(PRETRAINED).touch()
    assert model_path(PRETRAINED) == str(tmp_path / PRETRAINED)


def test_it_is_small_knows_labs_and_tells_nothing_of_where_it_was_made():
    assert FILE.stat().st_size < 20e6
    predictor = load_model(FILE)
    provenance = load_provenance(FILE)
    assert predictor.classes == list(CLASSES)
    assert predictor.rule is not None
    assert predictor.lab is not None
    assert predictor.pictures is not None
    assert provenance["config"]["data"]["name"] == "PBC"
    assert not [text for text in strings(provenance) if re.match(r"([/~]|[A-Z]:\\)", text)]
    card = (ROOT / "docs" / "guides" / "pretrained.md").read_text()
    assert "CC BY 4.0" in card
    assert "10.17632/snkd93bnjr.1" in card  # the set that it learnt from, for its makers are to be named


def test_a_program_finds_it_by_the_same_word():
    rng = np.random.default_rng(0)
    cells = [draw_cell(name, LABS["lab_e"], rng, 200)[0] for name in CLASSES]
    answers = wbc.load(PRETRAINED).predict(cells)
    assert sum(a == b for a, b in zip(answers.labels, CLASSES, strict=True)) >= 3  # two were right by chance
