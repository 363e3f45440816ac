"""The verdict: what it says of good models, and that it says at the top what is wrong with bad ones."""

import math
from types import SimpleNamespace

import pytest
import torch

from tests.helpers.html_checks import NASTY, Elements
from wbc.answers.outliers import OutlierScore
from wbc.answers.rule import AnswerRule
from wbc.metrics.with_intervals import measured_set
from wbc.report.verdict import main_set, verdict

CLASSES = ["Basophil", "Monocyte", "Neutrophil"]
TRAINED = {"images": {"splits": {"train": {"Monocyte": 1200}, "val": {"Monocyte": 9}}, "left_out": {}}}
TRAINED |= {"config": {"data": {"name": "raabin", "source": "folder"}}}
ALL_RIGHT = [0] * 30 + [1] * 30 + [2] * 40


def record(
    labels=tuple(ALL_RIGHT), wrong=0, in_lab=True, note="", answered=90, answered_wrong=0, withheld=None
):
    """A set of which the first `wrong` images are named as the next class."""
    true = torch.tensor(labels)
    named = true.clone()
    named[:wrong] = (true[:wrong] + 1) % 3
    scores = torch.eye(3, dtype=torch.float64)[named] * 0.7 + 0.1
    share = (answered - answered_wrong) / answered if answered else None
    high = None if share is None else min(1.0, share + 0.02)
    answers = {
        "answered": answered,
        "answered_share": answered / 100,
        "answered_accuracy": share,
        "answered_accuracy_interval": {"low": None if share is None else share - 0.05, "high": high},
        "withheld": withheld,
    }
    lab = {"images": 100, "rank": 0.93, "at_least": 0.9, "limit": 0.75, "elsewhere": withheld is not None}
    told = {"in_lab": in_lab, "note": note, "answers": answers, "levels": None, "lab": lab}
    return measured_set(scores, true, CLASSES) | told


def rule(threshold=0.9, asked_error=0.05):
    asked = {"max_error": 0.05, "asked_error": asked_error, "set_coverage": 0.99, "acceptance": 0.95}
    score = OutlierScore("knn", {})
    return AnswerRule(1.0, threshold, 0.5, score, 1.0, images=60, **asked)


@pytest.fixture
def told(tmp_path):
    """The lead, the other sentences, the warnings and the limits of a verdict."""

    def tell(sets, answer_rule=rule(), provenance=TRAINED):  # noqa: B008  # never changed
        predictor = SimpleNamespace(classes=CLASSES, rule=answer_rule)
        parsed = Elements(verdict(sets, tmp_path / "model.ckpt", predictor, provenance))
        lists = [kind["class"] for kind in parsed.all("ul")]
        items, (lead, *sentences) = parsed.text("li"), parsed.text("p")
        limits = [
            text for text in items if text.startswith(("How ", "Whether", "Exactly", "Anything", "What"))
        ]
        warnings = [text for text in items if text not in limits]
        assert ("warnings" in lists) == bool(warnings)
        return lead, sentences, warnings, limits

    return tell


def test_a_good_model_is_told_in_a_sentence_without_a_warning(told):
    lead, sentences, warnings, limits = told({"test": record(wrong=2)})
    assert lead.startswith(
        "Right in 98.0 % [95.0, 100.0] of the 100 images of test (of the lab it was trained"
    )
    assert "macro F1 of 97.8 %" in lead
    assert "Worst class: Basophil, of whose 30 images 93.3 % [77.9, 99.2] are recognised." in lead
    assert "It answers 90.0 % of them; 100.0 % [95.0, 100.0] of its answers are right." in lead
    assert sentences == [
        "The model was trained on 1,200 images of 3 classes (Basophil, Monocyte, Neutrophil) from the data "
        "set raabin."
    ]
    assert warnings == []
    assert limits[0].startswith("Whether its promise (at most 5 % of answers wrong) holds in other labs")
    assert "60 validation images of its own run" in limits[0]
    assert "none was measured" in limits[1]
    assert limits[-1].endswith("it is not for diagnosis.")


def test_answers_by_superclass_are_told_beside_those_by_class(told):
    together = {
        "images": 97,
        "share": 0.97,
        "accuracy": 0.99,
        "accuracy_interval": {"low": 0.95, "high": 0.999},
    }
    lead, _, _, _ = told({"test": record() | {"levels": {"classes": {"share": 0.9}, "together": together}}})
    assert "Of 7.0 % more it answers a superclass; 99.0 % [95.0, 99.9] of all answers are right." in lead


def test_the_main_set_is_the_first_of_the_own_lab_that_does_not_flatter(told):
    sets = {
        "other": record(in_lab=False, wrong=40),
        "train": record(note="the model was trained on these images"),
        "test": record(),
    }
    assert main_set(sets) == "test"
    assert main_set({"other": sets["other"], "train": sets["train"]}) == "other"
    assert main_set({"train": sets["train"]}) == "train"
    lead, (elsewhere, _), warnings, limits = told(sets)
    assert "images of test" in lead
    assert elsewhere.startswith("Accuracy on the other sets: 60.0 % [")
    assert elsewhere.endswith("] on other (of another lab).")
    assert "train: the model was trained on these images. Its figures flatter." in warnings
    assert "How good it is in labs that are not among these sets." in limits


@pytest.mark.parametrize(
    ("sets", "answer_rule", "expected"),
    [
        ({"test": record()}, None, "It is not calibrated"),
        (
            {"test": record(answered=0)},
            rule(math.inf),
            "It answers nothing: the 60 validation images of its own run were too few, or too often wrong, "
            "to promise even that at most 30 % of its answers are wrong. Every image is held back.",
        ),
        (
            {"test": record()},
            rule(asked_error=0.01),
            "It promises that at most 5 % of its answers are wrong, not the 1 % that was asked for "
            "(abstain.max_error): the 60 validation images of its own run cannot promise that, for it "
            "takes 368",
        ),
        ({"test": record(answered=0)}, rule(), "It answers none of the images of test."),
        (
            {"test": record(answered=0, withheld={"images": 66, "share": 0.66, "accuracy": 0.964})},
            rule(),
            "test: The promise is not valid here: these 100 pictures are of another lab than the validation "
            "images, or of other cells. They lie further from known cells than 93 %",
        ),
        (
            {"test": record(answered_wrong=20)},
            rule(),
            "Its promise does not hold on test: 22.2 % of its answers are wrong there, where it promises at "
            "most 5 %.",
        ),
        (
            {"test": record(wrong=60)},
            rule(),
            "It is no better than always naming Neutrophil, which 40.0 % of the images of test show.",
        ),
        (
            {"test": record(wrong=57)},
            rule(),
            "It may be no better than always naming Neutrophil, which 40.0 % of the images of test show: the "
            "interval of its accuracy reaches down to that.",
        ),
    ],
)
def test_what_is_wrong_with_a_model_stands_at_the_top(told, sets, answer_rule, expected):
    (warning,) = told(sets, answer_rule)[2]
    assert warning.startswith(expected)


def test_where_all_images_are_of_one_class_no_guess_is_held_against_it(told):
    lead, _, warnings, limits = told({"test": record([1] * 40)})
    assert warnings == []
    assert "Worst class" not in lead
    assert "How well it recognises Basophil, Neutrophil in test, which has no image of them." in limits


def test_a_class_of_few_images_and_drawn_cells_are_named(told):
    drawn = TRAINED | {"config": {"data": {"name": "synthetic", "source": "synthetic"}}}
    limits = told({"test": record([0] * 5 + [1] * 30 + [2] * 30)}, provenance=drawn)[3]
    assert "Exactly how well it recognises classes of which test has few images: Basophil (5)." in limits
    assert any(limit.startswith("Anything of real smears") for limit in limits)


def test_nothing_is_said_of_a_training_that_the_file_does_not_tell(told):
    (sentence,) = told({"test": record()}, None, {})[1]
    assert sentence.endswith("what it was trained on is not known.")


def test_an_adapted_model_is_told_as_one(told):
    adapted = {"cells": {"path": ["a", "b"]}, "config": {"data": "lab_b"}}
    _, sentences, _, limits = told({"lab_b": record()}, provenance=TRAINED | {"adapted": adapted})
    assert sentences[-1].endswith("It was adapted to another lab by 2 cells of lab_b.")
    assert "60 cells of the lab that it was adapted to" in limits[0]


def test_names_are_escaped(tmp_path):
    predictor = SimpleNamespace(classes=CLASSES, rule=None)
    text = verdict({NASTY: record()}, tmp_path / "m.ckpt", predictor, {})
    assert Elements(text).all("script") == []
