"""The forest as tensors against scikit-learn's own, and files that hold something else."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesClassifier

from wbc.answers.forest import _LEAST_IN_LEAF, _MOST_LEAVES, _MOST_NODES, _TREES, Forest, Learning


def drawn(count=300, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    return torch.randn(count, 4, generator=generator) + labels[:, None] * torch.tensor(
        [1.0, 0, -1, 0]
    ), labels


@pytest.fixture(scope="module")
def forest():
    samples, labels = drawn()
    return Forest.fit(samples, 2 * labels, 6, [Learning([0, 1, 2, 3]), Learning([2, 3])], seed=4)


def test_probabilities_are_scikit_learns(forest):
    samples, labels = drawn()
    fresh, _ = drawn(50, seed=1)
    expected = np.zeros((50, 6))
    for number, columns in enumerate(([0, 1, 2, 3], [2, 3])):
        theirs = ExtraTreesClassifier(
            _TREES, min_samples_leaf=_LEAST_IN_LEAF, class_weight="balanced", random_state=4 + number
        )
        theirs.fit(samples[:, columns].numpy(), 2 * labels.numpy())
        expected[:, [0, 2, 4]] += theirs.predict_proba(fresh[:, columns].numpy()) / 2
    np.testing.assert_allclose(forest.probabilities(fresh), expected, atol=1e-6)
    assert (forest.probabilities(fresh).argmax(dim=1) == 2 * drawn(50, seed=1)[1]).float().mean() > 0.5


def test_classes_without_samples_get_nothing(forest):
    probabilities = forest.probabilities(drawn(20, seed=2)[0])
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(20))
    assert (probabilities[:, [1, 3, 5]] == 0).all()


def test_columns_that_trees_do_not_see_change_nothing():
    samples, labels = drawn()
    blind = Forest.fit(samples, labels, 3, [Learning([1, 3])], seed=0)
    other = samples.clone()
    other[:, [0, 2]] += 100
    assert torch.equal(blind.probabilities(samples), blind.probabilities(other))


def test_rows_that_trees_do_not_see_change_nothing():
    samples, labels = drawn()
    rows = torch.arange(300) < 200
    part = Forest.fit(samples, labels, 3, [Learning([0, 1, 2, 3], rows)], seed=0)
    other = samples.clone()
    other[~rows] += 100
    again = Forest.fit(other, labels, 3, [Learning([0, 1, 2, 3], rows)], seed=0)
    assert torch.equal(part.probabilities(samples), again.probabilities(samples))


def test_state_is_tensors_and_comes_back(forest):
    again = Forest.from_state(forest.state(), 4, 6)
    fresh, _ = drawn(20, seed=3)
    assert torch.equal(again.probabilities(fresh), forest.probabilities(fresh))


def test_a_tree_has_no_more_nodes_than_a_file_may_hold():
    generator = torch.Generator().manual_seed(0)
    for count in (_MOST_LEAVES * _LEAST_IN_LEAF - 1, 2 * _MOST_LEAVES * _LEAST_IN_LEAF - 1):
        labels = torch.randint(2, (count,), generator=generator)  # noise: trees as large as can be
        made = Forest.fit(torch.randn(count, 2, generator=generator), labels, 2, [Learning([0, 1])], 0)
        assert made.feature.shape[1] < _MOST_NODES
        Forest.from_state(made.state(), 2, 2)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (lambda state: state["left"].zero_(), "do not end"),
        (lambda state: state["right"].fill_(10**6), "do not end"),
        (lambda state: state["feature"].fill_(4), "other than 4 features"),
        (lambda state: state["feature"].fill_(-1), "other than 4 features"),
        (lambda state: state.update(shares=state["shares"][..., :2]), "shares is not"),
        (lambda state: state.update(threshold=state["threshold"][:1]), "threshold is not"),
        (lambda state: state.update(threshold="x"), "threshold is not"),
        (lambda state: state.update(feature=state["feature"].float()), "feature is not"),
        (lambda state: state.update(feature=None), "feature is not"),
        (lambda state: state.update({name: one[:0] for name, one in state.items()}), "trees and nodes"),
        (lambda state: state.update({name: one[:, :0] for name, one in state.items()}), "trees and nodes"),
        (
            lambda state: state.update({name: one[0] for name, one in state.items()}),
            "shares is not|trees and",
        ),
        (lambda state: state["shares"].fill_(torch.nan), "shares are none"),
        (lambda state: state["shares"].fill_(-1), "shares are none"),
    ],
)
def test_what_is_no_forest_is_refused(forest, changed, named):
    state = {name: values.clone() for name, values in forest.state().items()}
    changed(state)
    with pytest.raises(ValueError, match=named):
        Forest.from_state(state, 4, 6)
