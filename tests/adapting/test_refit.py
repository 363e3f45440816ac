"""The head refitted: the loss it minimises, what it leaves alone, and figures that no fold flatters."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from wbc.adapting.cross_validation import LabCells, out_of_fold, refitted, stratified_folds
from wbc.adapting.refit import refit
from wbc.adapting.report import Comparison
from wbc.network.device import one_thread
from wbc.network.network import Head

CLASSES = ["a", "b", "c"]


def drawn(cells: int = 24, features: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(cells) % 3
    return torch.randn(cells, features, generator=generator) + 1.5 * F.one_hot(labels, features), labels


def head_of(units: list[int], features: int = 40, seed: int = 1) -> Head:
    torch.manual_seed(seed)
    return Head(features, units, 3, dropout=0.5)


def objective(head: Head, old: Head, features: torch.Tensor, labels: torch.Tensor, strength: float):
    each = F.cross_entropy(head.eval()(features), labels, reduction="none")
    balanced = torch.stack([each[labels == one].mean() for one in labels.unique()]).mean()
    away = sum((a - b).square().sum() for a, b in zip(head.parameters(), old.parameters(), strict=True))
    return balanced + strength * away


def test_one_layer_towards_zero_is_scikit_learns_logistic_regression():
    features, labels = drawn()
    head = head_of([])
    torch.nn.init.zeros_(head.kernels[0].weight)
    strength = 0.05
    found = refit(head, features, labels, strength)
    # Its penalty spares the intercept; a column of ones in its place is a bias that is shrunk like the rest.
    ones = torch.cat([features, torch.ones(len(features), 1)], dim=1).numpy()
    theirs = LogisticRegression(C=1 / (2 * strength * len(labels)), fit_intercept=False, tol=1e-8)
    theirs.fit(ones, labels.numpy())
    expected = torch.from_numpy(theirs.coef_).float()
    torch.testing.assert_close(found.kernels[0].weight, expected[:, :-1], atol=2e-3, rtol=0)
    torch.testing.assert_close(found.kernels[0].bias, expected[:, -1], atol=2e-3, rtol=0)


@pytest.mark.parametrize(("units", "cells"), [([], 24), ([], 60), ([6], 24)])
def test_searching_a_basis_finds_what_descent_in_all_parameters_finds(units, cells):
    features, labels = drawn(cells)
    labels[: cells // 3] = 0  # unequal classes, so that the balance tells
    old = head_of(units)
    new = refit(old, features, labels, 0.05)
    free = copy.deepcopy(old).requires_grad_(True)
    adam = torch.optim.Adam(free.parameters(), lr=0.02)
    for _ in range(300):
        adam.zero_grad()
        objective(free, old, features, labels, 0.05).backward()
        adam.step()
    start, theirs, ours = (objective(head, old, features, labels, 0.05).item() for head in (old, free, new))
    assert theirs < 0.5 * start
    assert ours < 1.05 * theirs
    if not units:  # convex: one minimum
        torch.testing.assert_close(new.kernels[0].weight, free.kernels[0].weight, atol=0.01, rtol=0)


def test_firmness_runs_from_the_old_head_to_a_free_one():
    features, labels = drawn()
    old = head_of([6])
    away = [
        objective(refit(old, features, labels, one), old, features, labels, 1.0).item()
        - objective(refit(old, features, labels, one), old, features, labels, 0.0).item()
        for one in (1e4, 10.0, 0.1, 0.001)
    ]
    assert away[0] < 1e-4
    assert away == sorted(away)
    assert away[-1] > 0.1


def test_the_old_head_is_not_touched_and_the_same_comes_twice():
    features, labels = drawn()
    old = head_of([6]).train()
    before = copy.deepcopy(old.state_dict())
    first, second = (refit(old, features, labels, 0.01) for _ in range(2))
    for key, value in old.state_dict().items():
        assert torch.equal(value, before[key])
        assert torch.equal(first.state_dict()[key], second.state_dict()[key])
    assert old.training
    assert not first.training
    assert not any(parameter.requires_grad for parameter in first.parameters())


@pytest.mark.parametrize(
    ("features", "strength", "message"),
    [
        (torch.zeros(0, 40), 0.1, "expected as many"),
        (torch.zeros(3, 40), 0.1, "expected as many"),
        (torch.zeros(2, 40), 0.0, "above 0"),
        (torch.zeros(2, 40), math.nan, "above 0"),
        (torch.zeros(2, 40), math.inf, "above 0"),
        (torch.full((2, 40), math.nan), 0.1, "not finite"),
    ],
)
def test_what_cannot_be_refitted_is_refused(features, strength, message):
    with pytest.raises(ValueError, match=message):
        refit(head_of([6]), features, torch.tensor([0, 1])[: len(features)], strength)


@pytest.mark.parametrize("counts", [(10, 10, 10), (1, 7, 12), (2, 2, 2), (1, 1, 3)])
def test_folds_spread_every_class_evenly(counts):
    labels = torch.tensor([label for label, count in enumerate(counts) for _ in range(count)])
    folds = stratified_folds(labels, 3, seed=5)
    whole = torch.bincount(folds, minlength=3)
    assert whole.max() - whole.min() <= 1
    for label, count in enumerate(counts):
        each = torch.bincount(folds[labels == label], minlength=3)
        assert each.sum() == count
        assert each.max() - each.min() <= 1
    assert torch.equal(folds, stratified_folds(labels, 3, seed=5))
    if sum(counts) > 6:
        assert not torch.equal(folds, stratified_folds(labels, 3, seed=6))


def test_a_cell_is_judged_by_a_head_that_saw_none_of_its_views():
    features, labels = drawn()
    views = torch.stack([features, features.flip(1)], dim=1)
    old = head_of([6])
    logits = out_of_fold(old, LabCells(views, labels, torch.zeros(24, 2, 3)), 0.01, 4, seed=0)
    folds = stratified_folds(labels, 4, seed=0)
    for fold in range(4):
        kept = folds != fold
        head = refit(old, views[kept].flatten(0, 1), labels[kept].repeat_interleave(2), 0.01)
        torch.testing.assert_close(logits[~kept], head(features[~kept]))


def test_boxes_of_one_photograph_are_held_out_together():
    features, labels = drawn()
    photographs = torch.arange(24) // 3
    old = head_of([6])
    cells = LabCells(features[:, None], labels, torch.zeros(24, 1, 3))
    logits = out_of_fold(old, cells, 0.01, 4, 0, photographs)
    folds = stratified_folds(labels[::3], 4, seed=0)[photographs]
    for fold in range(4):
        kept = folds != fold
        head = refit(old, features[kept], labels[kept], 0.01)
        torch.testing.assert_close(logits[~kept], head(features[~kept]))
    with pytest.raises(ValueError, match="no class has two cells in different images"):
        out_of_fold(old, cells, 0.01, 4, 0, torch.zeros(24, dtype=torch.int64))


def test_a_second_opinion_stays_beside_every_head():
    features, labels = drawn()
    told = 8.0 * F.one_hot(labels, 3)  # it knows every cell: nothing is left to learn
    old = head_of([])
    cells = LabCells(features[:, None], labels, told[:, None])
    torch.testing.assert_close(cells.logits(old), old(features) + told)
    moved = [
        (refitted(old, some, 0.01).kernels[0].weight - old.kernels[0].weight).norm()
        for some in (cells, cells._replace(added=torch.zeros(24, 1, 3)))
    ]
    assert moved[0] < 0.2 * moved[1]
    out_of = out_of_fold(old, cells, 1e4, 3, seed=0)  # so firm that the head hardly moves
    torch.testing.assert_close(out_of, (old(features) + told).detach(), atol=1e-2, rtol=0)


def test_what_is_learnt_by_heart_does_not_count():
    labels = torch.arange(45) % 3
    noise = torch.randn(45, 1, 60, generator=torch.Generator().manual_seed(3))
    cells = LabCells(noise, labels, torch.zeros(45, 1, 3))
    old = head_of([], features=60)
    learnt = cells.logits(refitted(old, cells, 1e-3))
    assert (learnt.argmax(dim=1) == labels).float().mean() > 0.9
    after = out_of_fold(old, cells, 1e-3, 5, seed=0)
    assert (after.argmax(dim=1) == labels).float().mean() < 0.55


def test_it_helps_where_accuracy_rises_or_stays_and_the_loss_falls():
    labels = torch.arange(30) % 3
    right = 3.0 * F.one_hot(labels, 3)
    clear = right + torch.randn(30, 3, generator=torch.Generator().manual_seed(0)) * 0.1
    wrong = right.clone()
    wrong[:6] = wrong[:6].roll(1, dims=1)
    unsure = wrong.clone()
    unsure[:6] *= 0.2  # as often wrong, and less sure of it
    for before, after, helps in (
        (wrong, clear, True),
        (clear, wrong, False),
        (wrong, unsure, True),
        (unsure, wrong, False),
        (wrong, wrong, False),
    ):
        assert Comparison(before, after, labels, CLASSES).helps() == helps
    assert not Comparison(clear, 2 * clear, labels, CLASSES).helps()  # nor to be surer of what is right
    assert not Comparison(2 * clear, clear, labels, CLASSES).helps()
    timid = 0.6 * wrong
    timid[:6] *= 1.1
    assert F.cross_entropy(timid, labels) < F.cross_entropy(wrong, labels)
    assert not Comparison(wrong, timid, labels, CLASSES).helps()  # to be better calibrated alone is no merit


def test_a_shift_that_the_head_can_mend_helps_on_cells_that_were_not_there():
    features, labels = drawn(120, features=12)
    features = features + 1.5 * F.one_hot(labels, 12)
    old = refit(head_of([], features=12), features[:60], labels[:60], 1e-2)  # knows the first lab
    moved = features[60:].roll(1, dims=1)  # in the second one, each class looks like the next
    labels = labels[60:]
    cells = LabCells(moved[:30, None], labels[:30], torch.zeros(30, 1, 3))
    honest = out_of_fold(old, cells, 0.01, 3, seed=0)
    assert Comparison(old(moved[:30]), honest, labels[:30], CLASSES).helps()
    new = refitted(old, cells, 0.01)
    rest = Comparison(old(moved[30:]), new(moved[30:]), labels[30:], CLASSES).record()
    assert rest["after"]["accuracy"] > rest["before"]["accuracy"] + 0.3


def test_cross_validation_needs_a_class_with_two_cells():
    cells = LabCells(torch.zeros(3, 1, 40), torch.arange(3), torch.zeros(3, 1, 3))
    with pytest.raises(ValueError, match="no class has two cells"):
        out_of_fold(head_of([]), cells, 0.1, 5, 0)


def test_the_fast_macro_f1_is_scikit_learns_over_the_classes_that_occur():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (30,), generator=generator)  # class c is predicted, and never occurs
    logits = torch.randn(30, 3, generator=generator)
    comparison = Comparison(logits, logits + 5 * F.one_hot(labels, 3), labels, CLASSES)
    intervals = comparison.intervals()
    expected = f1_score(labels, logits.argmax(dim=1), labels=[0, 1], average="macro")
    assert intervals["before"]["macro_f1"].estimate == pytest.approx(expected)
    assert comparison.record()["before"]["macro_f1"] == pytest.approx(expected, abs=1e-6)
    gain = intervals["gain"]["accuracy"]
    assert gain.low < gain.estimate < gain.high
    assert gain.estimate == pytest.approx(
        intervals["after"]["accuracy"].estimate - intervals["before"]["accuracy"].estimate
    )


def test_one_thread_is_for_the_block_only():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
