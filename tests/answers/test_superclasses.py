"""Answers that stop at a superclass: what is promised of them holds, and nothing else changes."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from wbc.answers.abstention import best_promise
from wbc.answers.checkpoint import load_model, save_model
from wbc.answers.differential import Differential, differential_table
from wbc.answers.predictor import Predictor
from wbc.answers.rule import AnswerRule, fit_rule
from wbc.errors import CheckpointError
from wbc.hierarchy import Hierarchy
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.answers import ANSWERED, UNCERTAIN, UNKNOWN, superclass_of
from wbc.plain.lab_check import ELSEWHERE, held_back
from wbc.settings.abstain import AbstainConfig

CLASSES = ["Band", "Segmented", "Basophil", "Lymphocyte"]
TREE = {"granulocyte": ["neutrophil", "Basophil"], "neutrophil": ["Band", "Segmented"]}
HIERARCHY = Hierarchy(TREE, CLASSES)
SETTINGS = AbstainConfig(max_error=0.05, set_coverage=0.9, outlier_score="energy", acceptance=0.95)


def outputs(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features (count, 4), logits that take bands for segmented cells and seldom else, and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (count,), generator=generator)
    logits = 4 * torch.eye(4)[labels] + torch.randn(count, 4, generator=generator)
    alike = labels < 2
    logits[alike, :2] += 2.5 * torch.randn(int(alike.sum()), 2, generator=generator)
    return torch.randn(count, 4, generator=generator), logits, labels


@pytest.fixture(scope="module")
def rule() -> AnswerRule:
    return fit_rule(*outputs(1000, 0), SETTINGS, hierarchy=HIERARCHY)


def test_the_smallest_superclass_that_is_sure_is_answered(rule):
    rule = replace(rule, temperature=1.0, threshold=0.9, outlier_threshold=math.inf)
    probabilities = torch.tensor(
        [
            [0.92, 0.04, 0.02, 0.02],
            [0.50, 0.45, 0.03, 0.02],
            [0.30, 0.32, 0.33, 0.05],
            [0.30, 0.20, 0.10, 0.40],
        ]
    )
    answers = rule.answer(torch.zeros(4, 4), probabilities.log(), CLASSES)
    assert answers.status == [ANSWERED, "answered as neutrophil", "answered as granulocyte", UNCERTAIN]
    assert [superclass_of(status) for status in answers.status] == ["", "neutrophil", "granulocyte", ""]
    assert answers.labels == ["Band", "Band", "Basophil", "Lymphocyte"]
    odd = replace(rule, outlier_threshold=-math.inf).answer(torch.zeros(4, 4), probabilities.log(), CLASSES)
    assert odd.status == [UNKNOWN] * 4
    nothing = replace(rule, threshold=math.inf).answer(torch.zeros(4, 4), probabilities.log(), CLASSES)
    assert nothing.status == [UNCERTAIN] * 4


def test_more_is_answered_as_rightly_and_the_classes_are_as_before(rule):
    plain = fit_rule(*outputs(1000, 0), SETTINGS)
    assert plain.threshold == rule.threshold  # superclasses are right here, and so cost nothing
    features, logits, labels = outputs(4000, 1)
    before, after = (one.answer(features, logits, CLASSES) for one in (plain, rule))
    assert [one for one in after.status if not superclass_of(one)] == [
        one for one, now in zip(before.status, after.status, strict=True) if not superclass_of(now)
    ]
    assert before.labels == after.labels
    of_superclass = [place for place, status in enumerate(after.status) if superclass_of(status)]
    assert len(of_superclass) > 400
    assert {before.status[place] for place in of_superclass} == {UNCERTAIN}
    wrong = sum(
        CLASSES[labels[place]] == "Lymphocyte"
        if superclass_of(after.status[place]) == "granulocyte"
        else labels[place] > 1
        for place in of_superclass
    )
    assert wrong / len(of_superclass) < 0.05


def test_both_promises_hold_as_often_as_they_say():
    """Over validation sets drawn anew: superclasses that are often wrong raise the threshold."""
    broken = {"classes": 0, "together": 0}
    for seed in range(200):
        confidences, right = _drawn(np.random.default_rng(seed), 500)
        promise = best_promise(confidences, right, 0.1)
        confidences, right = _drawn(np.random.default_rng(10_000 + seed), 5000)
        sure = confidences >= promise.threshold
        first = sure & (np.cumsum(sure, axis=1) == 1)
        for name, among in (("classes", first[:, :1]), ("together", first)):
            wrong = (among & ~right[:, : among.shape[1]]).sum()
            broken[name] += wrong > promise.max_error * among.sum()
    assert broken["classes"] <= 0.05 * 200 + 6  # 95 %, and two standard errors
    assert broken["together"] <= 0.05 * 200 + 6


def _drawn(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences (count, 2) and what is right; a superclass's is too high by half of what is missing."""
    of_class = rng.uniform(0.4, 1, count)
    above = of_class + (1 - of_class) * rng.uniform(0, 1, count)
    right = rng.random(count) < of_class
    return np.column_stack([of_class, above]), np.column_stack(
        [right, right | (rng.random(count) < 0.5 * (above - of_class) / (1 - of_class))]
    )


def test_superclasses_that_are_wrong_are_paid_for_by_a_higher_threshold():
    confidences = np.concatenate([np.linspace(0.5, 1, 700), np.full(300, 0.3)])
    right = confidences > 0.4
    assert best_promise(confidences, right, 0.05).threshold < 0.51
    above = np.maximum(confidences, 0.6)
    promise = best_promise(np.column_stack([confidences, above]), np.column_stack([right, right]), 0.05)
    assert promise.max_error == 0.05
    assert 0.6 < promise.threshold < 0.62  # from 0.6 on the 300 would be answered, all of them wrongly


def test_without_superclasses_one_column_is_as_none():
    rng = np.random.default_rng(0)
    confidences, right = rng.random(400), rng.random(400) < 0.97
    assert best_promise(confidences, right, 0.05) == best_promise(confidences[:, None], right[:, None], 0.05)


def test_a_rule_with_superclasses_survives_the_file_and_a_damaged_one_is_refused(rule, tmp_path):
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES).eval()
    save_model(Predictor(network, rule), tmp_path / "model.ckpt", {})
    again = load_model(tmp_path / "model.ckpt")
    assert again.rule is not None
    assert again.rule.superclasses == TREE
    assert again.hierarchy is not None
    assert again.hierarchy.nodes == HIERARCHY.nodes
    for damage in ({"granulocyte": ["Band", "Blast"]}, {"granulocyte": 3}, ["granulocyte"], {1: CLASSES[:2]}):
        broken = replace(rule, superclasses=damage)
        save_model(Predictor(network, broken), tmp_path / "broken.ckpt", {})
        with pytest.raises(CheckpointError, match="damaged or does not fit"):
            load_model(tmp_path / "broken.ckpt")


def test_a_rule_from_before_has_no_superclasses(rule):
    state = rule.state()
    del state["superclasses"]
    assert AnswerRule.from_state(state).superclasses == {}


def test_in_another_lab_no_superclass_is_answered_either():
    assert held_back("answered as granulocyte") == UNCERTAIN
    assert held_back(ANSWERED) == ELSEWHERE


def test_a_differential_counts_them_beside_the_answered():
    differential = Differential(CLASSES)
    for status in (ANSWERED, "answered as neutrophil", "answered as neutrophil", UNCERTAIN):
        differential.add("Band", status)
    record = differential.record()
    assert record["status"] == {ANSWERED: 1, "answered as neutrophil": 2, UNCERTAIN: 1}
    assert record["answered"]["images"] == 1
    assert "1 answered, 2 answered as neutrophil, 1 uncertain" in differential_table(record)
