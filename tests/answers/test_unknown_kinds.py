"""Kinds of unknown cells that were learnt: what they add to an outlier score, in numbers."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from wbc.answers import outliers
from wbc.answers.rule import AnswerRule, fit_rule
from wbc.answers.unknown_kinds import fit_unknown_kinds
from wbc.plain.answers import UNKNOWN
from wbc.settings.abstain import AbstainConfig

DIMENSIONS = 40
METHODS = ["energy", "knn", "mahalanobis", "vim"]


def cells(seed, count=300):
    """Features, logits, labels of two classes; and features of a kind that lies between them, and of another.

    The first kind is no further from known cells than these from one another; the other lies apart.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    known = rng.normal(0, 0.5, (count, DIMENSIONS)) + 3
    known[:, 0] += np.where(labels == 0, 3.0, -3.0)
    between = rng.normal(0, 0.5, (count, DIMENSIONS)) + 3
    between[:, 0] += np.where(rng.random(count) < 0.5, 3.0, -3.0)
    between[:, 1:4] += 0.7
    apart = rng.normal(0, 0.5, (count, DIMENSIONS)) + 3
    apart[:, 20] -= 8
    numbers = [torch.tensor(one, dtype=torch.float32) for one in (known, between, apart)]
    return numbers[0], torch.tensor(labels), numbers[1], numbers[2]


def logits_of(features):
    return torch.stack([features[:, 0], 6 - features[:, 0]], dim=1)


def auroc(score, known, unknown):
    told = torch.cat([score.score(one, logits_of(one)) for one in (known, unknown)])
    return roc_auc_score([0] * len(known) + [1] * len(unknown), told)


@pytest.mark.parametrize("method", METHODS)
def test_a_kind_that_was_learnt_is_told_better_and_another_no_worse(method):
    features, labels, between, _ = cells(0)
    known, _, of_this_kind, of_another = cells(1)
    before = outliers.fit(method, features, logits_of(features), labels)
    after = outliers.fit(method, features, logits_of(features), labels, between)
    assert auroc(after, known, of_this_kind) > max(0.8, auroc(before, known, of_this_kind) + 0.05)
    assert auroc(after, known, of_another) > auroc(before, known, of_another) - 0.03


def test_a_cell_that_is_like_no_unknown_kind_keeps_its_score():
    features, labels, _, apart = cells(0)
    known, _, _, another = cells(1)
    before = outliers.fit("knn", features, logits_of(features), labels)
    after = outliers.fit("knn", features, logits_of(features), labels, apart)
    assert torch.equal(after.score(known, logits_of(known)), before.score(known, logits_of(known)))
    assert (after.score(another, logits_of(another)) > before.score(another, logits_of(another))).all()


@pytest.mark.parametrize("method", METHODS)
def test_known_cells_still_pass_as_promised(method):
    features, labels, between, _ = cells(0)
    settings = AbstainConfig(0.5, 0.9, method, 0.9)
    rule = fit_rule(features, logits_of(features), labels, settings, unknown=between)
    passed = []
    for seed in range(2, 7):
        known, *_ = cells(seed)
        status = rule.answer(known, logits_of(known), ["a", "b"]).status
        passed.append(1 - status.count(UNKNOWN) / len(status))
    assert np.mean(passed) > 0.87


def test_it_travels_with_the_rule_and_another_rule_may_take_it_over():
    features, labels, between, _ = cells(0)
    settings = AbstainConfig(0.5, 0.9, "knn", 0.9)
    rule = fit_rule(features, logits_of(features), labels, settings, unknown=between)
    again = AnswerRule.from_state(rule.state())
    other, *_ = cells(3)
    assert torch.equal(
        again.outlier_score.score(other, logits_of(other)), rule.outlier_score.score(other, logits_of(other))
    )
    kinds = again.outlier_score.unknown_kinds
    assert torch.equal(kinds.weight, fit_unknown_kinds(features, between).weight)
    taken = fit_rule(other, logits_of(other), labels, settings, unknown=kinds)
    assert torch.equal(taken.outlier_score.unknown_kinds.weight, kinds.weight)
    bare = fit_rule(features, logits_of(features), labels, settings)
    assert bare.outlier_score.unknown_kinds is None


def test_none_to_learn_from_are_refused():
    features, *_ = cells(0)
    with pytest.raises(ValueError, match="300 known and 0 unknown cells"):
        fit_unknown_kinds(features, features[:0])
