"""A run with superclasses: the model has them, and its report tells of the answers by level."""

import json
from dataclasses import replace

import pytest

from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from tests.helpers.verbs import run_verb
from wbc.answers.checkpoint import load_model, load_provenance, save_model
from wbc.settings.run_folder import start
from wbc.training.job import train

TREE = {"granulocyte": ["Basophil", "Eosinophil", "Neutrophil"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    given = "data.hierarchy={granulocyte: [Basophil, Eosinophil, Neutrophil]}"
    files = f"data.root={place / 'cells'}", f"data.checks_dir={place / 'checks'}"
    config = composed(*SMALL, "phase=head", given, *files)
    start(config, place / "run")
    train(config, place / "run")
    return place / "run"


def test_the_model_has_them(run):
    predictor = load_model(run / "model.ckpt")
    assert predictor.rule.superclasses == TREE
    assert predictor.hierarchy.names == ["granulocyte"]


def test_an_evaluation_tells_of_the_levels(run, tmp_path):
    predictor = load_model(run / "model.ckpt")
    predictor.rule = replace(predictor.rule, threshold=0.5, outlier_threshold=1e9)
    save_model(predictor, run / "model.ckpt", load_provenance(run / "model.ckpt"))
    words = "data=[test]", "workers=0", f"checks_dir={run.parent / 'checks'}"
    assert run_verb("evaluate", run, *words, folder=tmp_path) == 0
    (one,) = json.loads((tmp_path / "metrics.json").read_text())["sets"].values()
    counted = one["levels"]
    parts = [counted["classes"]["images"], counted["superclasses"]["granulocyte"]["images"]]
    assert sum(parts) == counted["together"]["images"] > 0
    page = (tmp_path / "report.html").read_text()
    assert "test: answers by level" in page
    assert "granulocyte (Basophil, Eosinophil, Neutrophil)" in page
    assert "superclass granulocyte" in page  # in the model card
