"""A superclass is answered by every way out of a model: the table, the service, the exported folder."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.served import served, small_predictor
from tests.helpers.trees import picture, write_image
from tests.helpers.verbs import run_verb
from wbc.answers.checkpoint import save_model
from wbc.exporting import sameness
from wbc.exporting.description import write_description
from wbc.exporting.standalone.classifier import Classifier
from wbc.images.decode import decode
from wbc.labels import CLASSES
from wbc.plain.answers import ANSWERED, UNCERTAIN

TREE = {"agranulocyte": ["Lymphocyte", "Monocyte"]}
AS_AGRANULOCYTE = "answered as agranulocyte"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    for number in range(7):
        write_image(folder / "cells" / f"{number}.png", picture(number, 70))
    return folder


@pytest.fixture(scope="module")
def predictor(place):
    """Of some pictures the class is sure, of some two together, of some neither."""
    made = small_predictor()
    made.lab = made.pictures = None
    paths = sorted((place / "cells").iterdir())
    rule = replace(made.rule, superclasses=TREE, threshold=math.inf, outlier_threshold=1e9)
    made.rule = rule
    sums = made.predict([str(path) for path in paths]).probabilities.astype(float)[:, [2, 3]].sum(axis=1)
    made.rule = replace(rule, threshold=float(np.sort(sums)[2:4].mean()))
    save_model(made, place / "model.ckpt", {})
    return made


def statuses(predictor, place) -> list[str]:
    found = predictor.predict([str(path) for path in sorted((place / "cells").iterdir())]).status
    assert set(found) == {ANSWERED, AS_AGRANULOCYTE, UNCERTAIN}
    return found


def test_the_table_and_the_differential_say_so(predictor, place, tmp_path):
    words = f"images={place / 'cells'}", f"output={tmp_path}", "accelerator=cpu"
    assert run_verb("predict", place, *words) == 0
    with (tmp_path / "predictions.csv").open() as file:
        assert [row["status"] for row in csv.DictReader(file)] == statuses(predictor, place)
    assert (
        f'"{AS_AGRANULOCYTE}": {statuses(predictor, place).count(AS_AGRANULOCYTE)}'
        in (tmp_path / "differential.json").read_text()
    )


def test_the_service_says_so(predictor, place):
    files = [("images", (path.name, path.read_bytes())) for path in sorted((place / "cells").iterdir())]
    record = served(predictor).post("/answer", files=files).json()
    assert [one["answer"]["status"] for one in record["pictures"]] == statuses(predictor, place)
    assert record["differential"]["status"][AS_AGRANULOCYTE] > 0


def test_the_exported_folder_says_so(predictor, place, tmp_path):
    pictures = [decode(path) for path in sorted((place / "cells").iterdir())]
    paths = [str(path) for path in sorted((place / "cells").iterdir())]
    outputs, _, _ = predictor.answer_files(paths, 8, 0, "")
    write_description(predictor, tmp_path)
    classifier = Classifier(tmp_path, lambda pixels: (outputs.features.numpy(), outputs.logits.numpy()))
    assert classifier.answer(pictures).status == statuses(predictor, place)


def test_a_superclass_on_the_limit_may_fall_on_either_side(predictor):
    rule = replace(predictor.rule, set_limit=0.5, outlier_threshold=9.0)
    short = (1 - rule.threshold) / 2
    probabilities = np.array([[short, short, rule.threshold - 0.02, 0.02, 0.0], [0.01, 0, 0.99, 0, 0]])
    answers = rule.fitted().answer(np.zeros((2, 1280)), np.log(probabilities + 1e-12), CLASSES)
    answers = answers._replace(probabilities=probabilities, scores=np.zeros(2))
    assert sameness.on_the_edge(answers, rule, CLASSES).tolist() == [True, False]
