"""The model card: nothing is said of a model that its file does not tell."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from wbc.answers.forest import Forest, Learning
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.answers.second_opinion import SecondOpinion
from wbc.datasets.manifest import COLUMNS, write_manifest
from wbc.images.morphometry import NAMES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.size_opinion import SizeOpinion
from wbc.report.model_card import model_card
from wbc.settings.abstain import AbstainConfig

CLASSES = ["Basophil", "Monocyte"]
TRAINED = {"phase": "head", "config": {"seed": 3, "data": {"source": "folder", "name": "own", "root": "r"}}}
TRAINED["config"] |= {"phase": {"run": ["head"], "head": {"lr": 0.5}}, "abstain": {"max_error": 0.0123}}


def adapted(origin: str, helped: bool = True, **before) -> dict:
    cells = {"path": ["a.png", "b.png", "c.png"], "label": ["Monocyte"] * 3}
    config = {"data": "lab_b", "abstain": {"max_error": 0.25}}
    return {"adapted": {"from": origin, "helped": helped, "cells": cells, "config": config, **before}}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    features, logits, labels = torch.randn(60, 4), torch.randn(60, 2), torch.arange(60) % 2
    rule = fit_rule(features, logits, labels, AbstainConfig(0.5, 0.9, "knn", 0.95))
    return Predictor(Network(Backbone("tf_efficientnet_lite0", 64), CLASSES), rule)


def test_a_second_opinion_is_named(tmp_path, predictor):
    samples, labels = torch.randn(40, len(NAMES)), torch.arange(40) % 2
    opinion = SecondOpinion(1.5, Forest.fit(samples, labels, 2, [Learning([0]), Learning([1, 2])], seed=0))
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES)
    told, untold = (
        " ".join(map(str, model_card(tmp_path / "m.ckpt", one, TRAINED, {}).parts))
        for one in (Predictor(network, predictor.rule, second_opinion=opinion), predictor)
    )
    assert "a forest of 200 trees judges 36 measurements" in told
    assert "1.5 times" in told
    assert "forest" not in untold


def test_what_it_learnt_of_unknown_cells_is_told(tmp_path, predictor):
    shares = {"images": 30, "not_a_known_cell": 0.9, "answered": 0.05}
    shown = TRAINED | {"unknown": {"learnt": 120, "kinds": {"blast": shares}}}
    told, untold = (
        " ".join(map(str, model_card(tmp_path / "m.ckpt", predictor, of, {}).parts))
        for of in (shown, TRAINED)
    )
    assert "It was shown 120 cells that are none of its classes" in told
    assert "blast 90.0 % of 30, 5.0 % answered" in told
    assert "It was shown" not in untold


def test_a_size_opinion_is_named(tmp_path, predictor):
    sized = Predictor(predictor.network, predictor.rule, size=SizeOpinion((0.2, 0.4), (0.1, 0.1)))
    told, untold = (
        " ".join(map(str, model_card(tmp_path / "m.ckpt", one, TRAINED, {}).parts))
        for one in (sized, predictor)
    )
    assert "red cells around it" in told
    assert "red cells" not in untold


def test_a_larger_error_than_was_asked_for_is_told(tmp_path, predictor):
    larger = replace(predictor.rule, max_error=0.2, asked_error=0.05)
    told, untold = (
        " ".join(
            map(str, model_card(tmp_path / "m.ckpt", Predictor(predictor.network, rule), TRAINED, {}).parts)
        )
        for rule in (larger, predictor.rule)
    )
    assert "at most 20 % of answers are wrong" in told
    assert "asked for: 5 %" in told
    assert "asked for:" not in untold


def test_sets_that_hold_every_class_are_told_with_the_reason(tmp_path, predictor):
    full = replace(predictor.rule, set_limit=1.0, set_coverage=0.99)
    for rule, is_told in ((full, True), (predictor.rule, False)):
        card = model_card(tmp_path / "m.ckpt", Predictor(predictor.network, rule), TRAINED, {})
        said = " ".join(map(str, card.parts))
        assert ("60 validation images of its own run are too few for sets that" in said) == is_told


@pytest.mark.parametrize(
    ("provenance", "told", "untold"),
    [
        ({}, ["a training checkpoint, which does not tell"], ["Trained", "It was adapted"]),
        (
            TRAINED,
            ["Trained: the frozen", "seed 3", "60 validation images of its own run", "0.0123"],
            ["It was adapted"],
        ),
        (
            adapted("old.ckpt"),
            ["adapted from old.ckpt by 3 cells of a lab, lab_b: its head was", "What it was adapted from"],
            ["Trained", "validation images", "The file is"],
        ),
        (
            TRAINED | adapted("old.ckpt", helped=False),
            [
                *("for refitting did not help", "Before that it was trained", "seed 3"),
                *("60 cells of the lab that it was adapted to", "0.25"),
            ],
            ["Trained:", "validation images", "0.0123"],
        ),
        (
            TRAINED
            | {"phase": "finetune", "phases": ["finetune"]}
            | {"config": TRAINED["config"] | {"init_from": "b.ckpt", "phase": {"finetune": {"lr": 0.5}}}},
            ["Trained: the last layers under a trained head, from the weights of b.ckpt; seed 3"],
            ["phase.head"],
        ),
        (
            TRAINED | adapted("b.ckpt", before=adapted("a.ckpt")["adapted"]),
            ["It was adapted from b.ckpt", "That model was adapted from a.ckpt"],
            [],
        ),
    ],
)
def test_it_says_how_the_model_came_about(tmp_path, predictor, provenance, told, untold):
    record = {"note": "", "images": 4, "accuracy": 1.0, "macro_f1": 1.0}
    record["intervals"] = {key: {"low": None, "high": None} for key in ("accuracy", "macro_f1")}
    card = " ".join(map(str, model_card(tmp_path / "m.ckpt", predictor, provenance, {"x": record}).parts))
    assert [text for text in told if text not in card] == []
    assert [text for text in untold if text in card] == []


def test_the_images_are_those_of_the_training_and_not_the_cells_adapted_by(tmp_path, predictor):
    for folder, images in (("run", 7), ("adapted", 3)):
        rows = [{"path": f"{n}.png", "label": "Monocyte", "split": "train"} for n in range(images)]
        manifest = pd.DataFrame(rows, columns=COLUMNS, dtype=object).fillna("")
        write_manifest(manifest, tmp_path / folder / "manifest.csv")
    provenance = adapted(str(tmp_path / "run" / "checkpoints" / "head" / "best.ckpt"))
    card = model_card(tmp_path / "adapted" / "model.ckpt", predictor, provenance, {})
    page = " ".join(map(str, card.parts))
    assert ">7<" in page
    assert ">3<" not in page
