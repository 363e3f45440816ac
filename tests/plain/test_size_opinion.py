"""What the size of a nucleus in red cells says: how it is fitted, what it adds, where it travels."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import wbc
from wbc.answers.checkpoint import load_network, save_model
from wbc.answers.predictor import Predictor
from wbc.datasets.manifest import DRAWN
from wbc.errors import CheckpointError
from wbc.images.cell_finder import find_nucleus
from wbc.images.red_cells import nucleus_in_red_cells
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.size_opinion import SizeOpinion, fit_size_opinion
from wbc.synthetic.draw import LABS, draw_cell
from wbc.training.fit_size_opinion import measured_size_opinion

LAB = replace(next(iter(LABS.values())), field_um=36)
SMALL, LARGE = 1.2, 1.6


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(2)
    return [draw_cell(name, LAB, rng)[0] for name in CLASSES for _ in range(8)]


@pytest.fixture
def two():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    sizes = np.where(labels == 0, SMALL, LARGE) * np.exp(rng.normal(0, 0.1, 400))
    return fit_size_opinion(sizes, labels, 2)


@pytest.fixture
def predictor():
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 96), CLASSES, [8])
    means = tuple(np.log([1.5, 1.2, 1.2, 1.6, 1.2]).tolist())
    return Predictor(network, size=SizeOpinion(means, (0.15,) * 5))


def test_the_class_whose_nuclei_are_so_large_loses_least(two):
    logits = two.logits([SMALL, 1.4, LARGE])
    assert logits.shape == (3, 2)
    assert logits.dtype == np.float32
    assert (logits <= 0).all()
    assert logits[0, 0] == pytest.approx(0, abs=0.01)
    assert logits[2, 1] == pytest.approx(0, abs=0.01)
    assert logits[0, 1] < -1.5
    assert logits[1, 0] == pytest.approx(logits[1, 1], abs=0.3)


def test_a_size_that_no_class_has_takes_from_all_and_no_more_than_a_wrong_outline_may(two):
    logits = two.logits([0.5, 4.0])
    np.testing.assert_allclose(logits, np.log(0.05), atol=0.02)


def test_without_red_cells_nothing_changes(two):
    assert two.logits([float("nan")]).tolist() == [[0, 0]]
    assert two.logits([]).shape == (0, 2)


def test_it_takes_five_measured_cells_of_each_class():
    sizes = np.array([1.0, 1.1, 1.2, 1.3, 1.4] + [1.5] * 5)
    labels = np.repeat([0, 1], 5)
    assert fit_size_opinion(sizes, labels, 2) is not None
    assert fit_size_opinion(sizes, labels, 3) is None
    sizes[0] = np.nan
    assert fit_size_opinion(sizes, labels, 2) is None


def test_cells_that_are_all_of_one_size_are_no_reason_to_fail():
    opinion = fit_size_opinion(np.repeat([1.2, 1.6], 5), np.repeat([0, 1], 5), 2)
    assert np.isfinite(opinion.logits([1.2, 1.6, 3.0])).all()


def rows(cells, place, source="ours"):
    paths = []
    for number, cell in enumerate(cells):
        paths.append(str(place / f"{source}_{number}.png"))
        Image.fromarray(cell).save(paths[-1])
    labels = np.repeat(CLASSES, len(cells) // len(CLASSES))
    return pd.DataFrame({"path": paths, "label": labels, "source": source})


def test_it_is_fitted_on_real_training_cells(cells, tmp_path, caplog):
    train = rows(cells, tmp_path)
    found = measured_size_opinion(train, CLASSES, seed=0)
    sizes = np.array([nucleus_in_red_cells(cell, find_nucleus(cell)) for cell in cells])
    expected = fit_size_opinion(sizes, np.repeat(np.arange(5), 8), 5)
    assert found.means == pytest.approx(expected.means)
    assert found.deviations == pytest.approx(expected.deviations)
    drawn = rows(cells[::-1], tmp_path, DRAWN)
    assert measured_size_opinion(pd.concat([train, drawn]), CLASSES, seed=0).means == pytest.approx(
        found.means
    )
    assert measured_size_opinion(train[train["label"] != "Monocyte"], CLASSES, seed=0) is None
    assert "red cells are seen beside too few training cells" in caplog.text
    assert "Monocyte 0" in caplog.text


def test_its_word_is_in_the_answers_and_travels_with_the_model(predictor, cells, tmp_path):
    answers = predictor.predict(cells)
    sizes = [nucleus_in_red_cells(cell, find_nucleus(cell)) for cell in cells]
    pixels = torch.from_numpy(np.stack([predictor.prepare(cell) for cell in cells])).permute(0, 3, 1, 2)
    alone = predictor.outputs(pixels).logits
    expected = (alone + torch.from_numpy(predictor.size.logits(sizes))).softmax(dim=1)
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-5)
    assert (expected - alone.softmax(dim=1)).abs().max() > 0.05
    assert predictor.answered_by == "the size of the nucleus in red cells"
    save_model(predictor, tmp_path / "model.ckpt", {})
    again = wbc.load(tmp_path / "model.ckpt").predict(cells)
    np.testing.assert_allclose(again.probabilities, answers.probabilities, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (lambda told: told.pop("means"), "means"),
        (lambda told: told.update(means=[0.1] * 4), "expected 5 numbers"),
        (lambda told: told.update(means=["a"] * 5), "expected 5 numbers"),
        (lambda told: told.update(deviations=[0.0] * 5), "expected numbers above 0"),
    ],
)
def test_a_file_with_another_is_refused(predictor, tmp_path, changed, named):
    save_model(predictor, tmp_path / "model.ckpt", {})
    content = torch.load(tmp_path / "model.ckpt", weights_only=True)
    changed(content["size_opinion"])
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match=re.escape(named)):
        load_network(tmp_path / "model.ckpt")
