"""One image and one model have one answer, whichever verb is asked: class and calibrated probability."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import wbc
from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from tests.helpers.verbs import run_verb
from wbc.labels import CLASSES
from wbc.training.job import train

SETTINGS = {
    "the network alone": [],
    "test-time views, a second opinion and sizes in red cells": [
        "model.test_time.draws=2",
        "model.second_opinion=1.5",
        "model.size_opinion=true",
        "model.standardise=[size,field,stain]",
    ],
}


@pytest.fixture(scope="module", params=SETTINGS.values(), ids=SETTINGS.keys())
def answers(request, tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """A run, and what its predictions.csv says of the test images, by path."""
    folder = tmp_path_factory.mktemp("run")
    cells = tmp_path_factory.getbasetemp() / "one_answer_cells"
    places = [f"data.root={cells}", f"data.checks_dir={cells}", "+trainer.enable_progress_bar=false"]
    config = composed(
        *SMALL, "seed=4", "phase=head", "phase.head.lr=1e-4", "abstain.max_error=0.5", *places, *request.param
    )
    train(config, folder)
    table = pd.read_csv(folder / "predictions.csv", keep_default_na=False)
    for name, split in (("test.csv", "test"), ("other.csv", "test_other_lab")):
        table[table["data"] == split][["path", "label"]].to_csv(folder / name, index=False)
    table = table[table["data"] == "test"].set_index("path")
    assert table["prediction"].nunique() > 1
    return folder, table


def assert_same(expected: pd.DataFrame, found: pd.DataFrame, columns=(*CLASSES,)) -> None:
    found = found.set_index("path").loc[expected.index]
    assert found["prediction"].tolist() == expected["prediction"].tolist()
    assert found["status"].tolist() == expected["status"].tolist()
    assert found["set"].tolist() == expected["set"].tolist()
    np.testing.assert_allclose(
        found[list(columns)].astype(float), expected[list(columns)].astype(float), atol=1e-5
    )


def test_predict(answers, tmp_path):
    folder, expected = answers
    run_verb("predict", folder, f"images={folder / 'test.csv'}", f"output={tmp_path}", "accelerator=cpu")
    assert_same(expected, pd.read_csv(tmp_path / "predictions.csv", keep_default_na=False))


# What need not be there where an exported folder is used; torch comes with its own format alone.
_WITHOUT_WBC = """
import importlib.util, runpy, sys

def is_gone(name):
    return name.partition(".")[0] in ("wbc", "torch", "pandas", "timm")

class Missing:
    def find_spec(self, name, path=None, target=None):
        if is_gone(name):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if is_gone(name) else find(name, package)
sys.argv = sys.argv[1:]
sys.path.insert(0, ".")
runpy.run_path("classify.py", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "answers", [SETTINGS["test-time views, a second opinion and sizes in red cells"]], indirect=True
)
def test_export(answers, tmp_path):
    folder, expected = answers
    run_verb("export", folder, f"images={folder / 'test.csv'}", "format=onnx", folder=tmp_path)
    listed, table = tmp_path / "listed.txt", tmp_path / "table.csv"
    listed.write_text("".join(f"{path}\n" for path in expected.index))
    words = ["classify.py", "--list", str(listed), "--table", str(table)]
    subprocess.run(
        [sys.executable, "-B", "-c", _WITHOUT_WBC, *words], cwd=tmp_path / "model", check=True, timeout=300
    )
    assert_same(expected, pd.read_csv(table, keep_default_na=False))


def test_evaluate(answers, tmp_path):
    folder, expected = answers
    run_verb("evaluate", folder, f"data={folder / 'test.csv'}", folder=tmp_path)
    assert_same(expected, pd.read_csv(tmp_path / "predictions.csv", keep_default_na=False))


def test_explain(answers, tmp_path):
    folder, expected = answers
    run_verb("explain", folder, f"images={folder / 'test.csv'}", "methods=[gradcam]", folder=tmp_path)
    rows = pd.read_csv(tmp_path / "explanations.csv", keep_default_na=False)
    assert (rows["target"] == rows["predicted"]).all()
    np.testing.assert_allclose(rows["probability"], rows["target_probability"])
    expected = expected.assign(probability=expected[list(CLASSES)].astype(float).max(axis=1))
    assert_same(expected, rows.rename(columns={"predicted": "prediction"}), ["probability"])


def test_adapt(answers, tmp_path):
    """What the model answered before it was adapted."""
    folder, expected = answers
    run_verb("adapt", folder, f"data={folder / 'test.csv'}", "folds=2", "views=1", folder=tmp_path)
    rows = pd.read_csv(tmp_path / "out_of_fold.csv", keep_default_na=False).set_index("path")
    expected = expected.loc[rows.index]
    assert rows["prediction_before"].tolist() == expected["prediction"].tolist()
    probability = expected[list(CLASSES)].astype(float).max(axis=1)
    np.testing.assert_allclose(rows["probability_before"], probability, atol=1e-5)


@pytest.mark.slow
def test_the_adapted_model_answers_alike_in_every_verb_too(answers, tmp_path):
    folder, _ = answers
    run_verb(
        "adapt", folder, f"data={folder / 'test.csv'}", "folds=2", "views=1", folder=tmp_path / "adapted"
    )
    test = folder / "other.csv"  # evaluate leaves out what a model was adapted by
    run_verb(
        "predict", tmp_path / "adapted", f"images={test}", f"output={tmp_path / 'out'}", "accelerator=cpu"
    )
    expected = pd.read_csv(tmp_path / "out" / "predictions.csv", keep_default_na=False)
    run_verb("evaluate", tmp_path / "adapted", f"data={test}", folder=tmp_path / "evaluated")
    found = pd.read_csv(tmp_path / "evaluated" / "predictions.csv", keep_default_na=False)
    assert_same(expected.set_index("path"), found)


def test_the_python_api(answers):
    folder, expected = answers
    found = wbc.load(folder / "model.ckpt").predict(expected.index.tolist())
    assert found.labels == expected["prediction"].tolist()
    assert found.status == expected["status"].tolist()
    np.testing.assert_allclose(found.probabilities, expected[list(CLASSES)].astype(float), atol=1e-5)
