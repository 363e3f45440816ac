"""A forest on measurements beside the network: what it adds, where it travels, and what is refused."""

import re

import numpy as np
import pytest
import torch

import wbc
from wbc.answers.checkpoint import load_network, save_model
from wbc.answers.predictor import Predictor
from wbc.answers.second_opinion import SecondOpinion
from wbc.errors import CheckpointError
from wbc.images.standardised import standardised
from wbc.labels import CLASSES
from wbc.loading.augment import Augment, albumentations
from wbc.loading.labelled_images import LabelledImages
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.synthetic.draw import LABS, draw_cell
from wbc.training.fit_second_opinion import _chosen, fit_second_opinion

SIDE = 96


def pictures(count, seed, lab=0):
    rng = np.random.default_rng(seed)
    drawn = [draw_cell(name, list(LABS.values())[lab], rng)[0] for name in CLASSES for _ in range(count)]
    labels = [name for name in CLASSES for _ in range(count)]
    return [standardised(picture, SIDE, stain=True).pixels for picture in drawn], labels


def stacked(images):
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def fitted(cells, drawn=0, workers=0):
    """Of a weight of 2; the last `drawn` of the cells were drawn by wbc beside the others."""
    flags = [place >= len(cells) - drawn for place in range(len(cells))]
    return fit_second_opinion(cells, flags, 2.0, workers, seed=0)


@pytest.fixture(scope="module")
def opinion():
    return fitted(LabelledImages(*pictures(30, 0), CLASSES))


@pytest.fixture
def predictor(opinion):
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", SIDE), CLASSES, [8])
    return Predictor(network, second_opinion=opinion)


@pytest.mark.parametrize(("lab", "least"), [(0, 0.8), (1, 0.5), (2, 0.5)])
def test_it_knows_cells_that_it_has_not_seen_in_other_labs_too(opinion, lab, least):
    """Chance is 0.2."""
    images, labels = pictures(8, 1, lab)
    logits = opinion.logits(stacked(images))
    assert (logits <= 0).all()
    right = [CLASSES[index] == label for index, label in zip(logits.argmax(dim=1), labels, strict=True)]
    assert np.mean(right) >= least


def test_the_weight_is_that_of_its_smoothed_log_probabilities(opinion):
    pixels = stacked(pictures(2, 2)[0])
    probabilities = (opinion.logits(pixels) / 2).exp()
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(10))
    assert probabilities.min() >= 0.1 / 5 - 1e-6
    heavier = SecondOpinion(6.0, opinion.forest)
    torch.testing.assert_close(heavier.logits(pixels), 3 * opinion.logits(pixels))


def test_without_a_cell_all_classes_lose_alike(opinion):
    images, _ = pictures(1, 3)
    images[2] = np.full_like(images[2], 240)
    logits = opinion.logits(stacked(images))
    torch.testing.assert_close(logits[2], torch.full((5,), 2 * np.log(0.2), dtype=torch.float32))
    torch.testing.assert_close(logits[1], opinion.logits(stacked(images[1:2]))[0])


def test_answers_join_both_and_the_network_alone_stays_as_it_is(predictor, opinion):
    images, _ = pictures(1, 4)
    pixels = stacked(images)
    with torch.inference_mode():
        alone = predictor.network(pixels)
    features, logits, network_logits = predictor.outputs(pixels)
    assert torch.equal(network_logits, alone)
    torch.testing.assert_close(logits, alone + opinion.logits(pixels))
    torch.testing.assert_close(features, predictor.network.features(pixels).detach())
    answers = predictor.predict(images)
    np.testing.assert_allclose(answers.probabilities, logits.softmax(dim=1), atol=1e-6)
    assert predictor.answered_by == "a second opinion by measurements of the cell"
    predictor.second_opinion = None
    assert predictor.answered_by == ""
    torch.testing.assert_close(predictor.outputs(pixels)[1], alone)


def test_it_travels_with_the_model(predictor, tmp_path):
    save_model(predictor, tmp_path / "model.ckpt", {})
    images, _ = pictures(1, 5)
    np.testing.assert_allclose(
        wbc.load(tmp_path / "model.ckpt").predict(images).probabilities,
        predictor.predict(images).probabilities,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (lambda told: told["second_opinion"].pop("weight"), "weight"),
        (lambda told: told["second_opinion"].update(weight=float("nan")), "weight nan"),
        (lambda told: told["second_opinion"].update(weight=10**400), "weight 1000"),
        (lambda told: told["second_opinion"].update(forest=3), "does not fit"),
        (lambda told: told["second_opinion"]["forest"].update(feature=3), "whose feature is not"),
        (lambda told: told["second_opinion"]["forest"]["left"].zero_(), "paths that do not end"),
        (lambda told: told["wbc"].update(standardise_version="0"), "version 0 of the cell"),
    ],
)
def test_a_file_with_another_is_refused(predictor, tmp_path, changed, named):
    save_model(predictor, tmp_path / "model.ckpt", {})
    content = torch.load(tmp_path / "model.ckpt", weights_only=True)
    changed(content)
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match=re.escape(named)):
        load_network(tmp_path / "model.ckpt")


def test_training_pictures_without_cells_give_none_and_this_is_said(caplog):
    empty = [np.full((SIDE, SIDE, 3), 240, np.uint8)] * 6
    cells = LabelledImages(empty, ["Basophil", "Monocyte"] * 3, CLASSES)
    assert fitted(cells) is None
    assert "no training picture of Basophil, Monocyte has a cell" in caplog.text


def test_of_many_cells_those_of_rare_classes_are_all_measured(monkeypatch):
    monkeypatch.setattr("wbc.training.fit_second_opinion._IMAGES", 20)
    labels, real = torch.tensor([0] * 50 + [1] * 4 + [2] * 30), torch.zeros(84, dtype=torch.bool)
    chosen = _chosen(labels, real, seed=0)
    assert torch.bincount(labels[chosen]).tolist() == [8, 4, 8]
    assert len(set(chosen)) == 20
    assert sorted(_chosen(labels[:15], real[:15], seed=0)) == list(range(15))
    assert (
        _chosen(labels[:15], real[:15], seed=0)
        == torch.randperm(15, generator=torch.Generator().manual_seed(0)).tolist()
    )


def test_of_many_drawn_cells_none_takes_the_place_of_a_real_one(monkeypatch):
    monkeypatch.setattr("wbc.training.fit_second_opinion._IMAGES", 20)
    labels = torch.tensor([0] * 50 + [1] * 40)
    drawn = torch.tensor([False] * 50 + [True] * 37 + [False] * 3)
    assert {87, 88, 89} <= set(_chosen(labels, drawn, seed=0))


@pytest.mark.parametrize("workers", [0, 2])
def test_it_is_the_same_however_many_processes_measure_and_whatever_the_augmentation(opinion, workers):
    inverted = Augment([albumentations.InvertImg(p=1)])
    cells = LabelledImages(*pictures(30, 0), CLASSES, inverted)
    again = fitted(cells, workers=workers).forest
    for one, other in zip(again.state().values(), opinion.forest.state().values(), strict=True):
        assert torch.equal(one, other)


def test_of_drawn_cells_trees_that_see_the_stain_learn_nothing():
    images, labels = pictures(20, 6)
    more, named = pictures(8, 7, lab=1)
    alone = fitted(LabelledImages(images, labels, CLASSES)).forest.state()
    both = LabelledImages([*images, *more], [*labels, *named], CLASSES)
    beside = fitted(both, drawn=len(more)).forest.state()
    half = len(alone["feature"]) // 2
    nodes = min(alone["shares"].shape[1], beside["shares"].shape[1])
    assert torch.equal(alone["shares"][:half, :nodes], beside["shares"][:half, :nodes])
    assert not torch.equal(alone["shares"][half:, :nodes], beside["shares"][half:, :nodes])
