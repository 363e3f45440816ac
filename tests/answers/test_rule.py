"""The answers' rule: what it promises holds on new images, and it survives the file."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from wbc.answers.outliers import METHODS
from wbc.answers.rule import AnswerRule, fit_rule
from wbc.plain.answers import (
    ANSWERED,
    NOT_CALIBRATED,
    UNCERTAIN,
    UNKNOWN,
    Answers,
    joined,
    no_answers,
    uncalibrated,
)
from wbc.settings.abstain import OUTLIER_SCORES, AbstainConfig

CLASSES = ["Basophil", "Lymphocyte", "Neutrophil"]
SETTINGS = AbstainConfig(max_error=0.05, set_coverage=0.9, outlier_score="knn", acceptance=0.95)


def outputs(count: int, seed: int, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features (count, 8) around a centre a class, overconfident logits that are sometimes wrong, labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(CLASSES), (count,), generator=generator)
    features = 3 * torch.eye(8)[labels] + 0.4 * torch.randn(count, 8, generator=generator) + shift
    noise = torch.randn(count, len(CLASSES), generator=generator)
    logits = 12 * (torch.eye(len(CLASSES))[labels] + 0.4 * noise)
    return features, logits, labels


@pytest.fixture(scope="module")
def rule() -> AnswerRule:
    return fit_rule(*outputs(600, 0), SETTINGS)


def test_the_promises_hold_on_new_images(rule: AnswerRule) -> None:
    features, logits, labels = outputs(4000, 1)
    answers = rule.answer(features, logits, CLASSES)
    true = [CLASSES[label] for label in labels.tolist()]
    answered = [index for index, status in enumerate(answers.status) if status == ANSWERED]
    wrong = sum(answers.labels[index] != true[index] for index in answered)
    assert len(answered) > 2000
    assert wrong / len(answered) < 0.05
    assert np.mean([label in held for label, held in zip(true, answers.sets, strict=True)]) > 0.88
    assert answers.status.count(UNKNOWN) / 4000 == pytest.approx(0.05, abs=0.02)
    assert rule.temperature > 1.5  # the logits were made overconfident


def test_a_strange_cell_is_not_a_known_one_however_sure_the_network(rule: AnswerRule) -> None:
    features, logits, _ = outputs(200, 2, shift=-6.0)
    answers = rule.answer(features, 100 * logits, CLASSES)
    assert answers.status.count(UNKNOWN) > 190
    assert answers.probabilities.max(axis=1).min() > 0.9


def test_statuses_by_probability(rule: AnswerRule) -> None:
    features = torch.eye(8)[:1] * 3
    sure, unsure = (torch.tensor([[top, 0.0, 0.0]]) for top in (80.0, 0.1))
    assert rule.answer(features, sure, CLASSES).status == [ANSWERED]
    assert rule.answer(features, unsure, CLASSES).status == [UNCERTAIN]
    assert replace(rule, set_limit=0.9).answer(features, unsure, CLASSES).sets == [CLASSES]


def test_too_few_images_promise_nothing_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        rule = fit_rule(*outputs(10, 0), SETTINGS)
    assert math.isinf(rule.threshold)
    assert rule.promise() == {"max_error": None, "asked_error": 0.05, "images": 10}
    assert "10 images, 0 of them wrong, are too few to promise at most 5 %" in caplog.text
    assert ANSWERED not in rule.answer(*outputs(50, 1)[:2], CLASSES).status


def test_few_images_promise_what_they_can_and_say_what_they_cannot(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        rule = fit_rule(*outputs(30, 0), SETTINGS)
    assert rule.promise() == {"max_error": 0.2, "asked_error": 0.05, "images": 30}
    assert (
        "promises that at most 20 % of its answers are wrong, not the 5 % that was asked for "
        "(abstain.max_error): the 30 images cannot promise that, for it takes 72, all of them right."
    ) in caplog.text
    assert ANSWERED in rule.answer(*outputs(50, 1)[:2], CLASSES).status
    assert "for too many of them are wrong." in replace(rule, images=72).shortfall("72 images")
    assert replace(rule, max_error=0.05).shortfall("30 images") == ""


def test_a_rule_from_before_promises_what_was_asked(rule: AnswerRule) -> None:
    state = rule.state()
    del state["asked_error"]
    assert AnswerRule.from_state(state).asked_error == rule.max_error


@pytest.mark.parametrize("method", METHODS)
def test_a_rule_survives_its_file(tmp_path, method: str) -> None:  # type: ignore[no-untyped-def]
    rule = fit_rule(*outputs(100, 0), AbstainConfig(0.1, 0.9, method, 0.95))
    torch.save(rule.state(), tmp_path / "rule.pt")
    again = AnswerRule.from_state(torch.load(tmp_path / "rule.pt", weights_only=True))
    features, logits, _ = outputs(20, 3)
    first, second = (one.answer(features, logits, CLASSES) for one in (rule, again))
    assert first.labels == second.labels
    assert first.sets == second.sets
    assert first.status == second.status
    np.testing.assert_array_equal(first.scores, second.scores)


def test_the_settings_know_the_methods() -> None:
    assert OUTLIER_SCORES == METHODS


def test_without_a_rule_nothing_is_promised() -> None:
    answers = uncalibrated(np.array([[0.0, 2.0, 1.0]]), CLASSES)
    assert answers.labels == ["Lymphocyte"]
    assert answers.status == [NOT_CALIBRATED]
    assert np.isnan(answers.scores).all()


def test_batches_are_joined_in_order(rule: AnswerRule) -> None:
    features, logits, _ = outputs(10, 4)
    whole = rule.answer(features, logits, CLASSES)
    parts = [rule.answer(features[part], logits[part], CLASSES) for part in (slice(4), slice(4, None))]
    both = joined([no_answers(3), *parts])
    assert isinstance(both, Answers)
    assert both.labels == whole.labels
    assert both.status == whole.status
    assert both.sets == whole.sets
    np.testing.assert_allclose(both.probabilities, whole.probabilities, atol=1e-6)
