"""Order of review, the differential as it stands, and agreement: against values worked out otherwise."""

import numpy as np
import pytest
from scipy.stats import beta
from sklearn.metrics import confusion_matrix

from tests.helpers.reviewed import write_crops
from wbc.plain.answers import ANSWERED
from wbc.reviewing.agreement import agreement
from wbc.reviewing.cells import read_cells
from wbc.reviewing.order import ORDERS, review_order, risk
from wbc.reviewing.tally import DISAGREED, shared_verdicts, tally
from wbc.reviewing.verdicts import OPEN


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    write_crops(folder, 60)
    return read_cells(folder, "predictions.csv")


@pytest.mark.parametrize("order", ORDERS)
def test_every_cell_stands_once_in_an_order(cells, order):
    assert sorted(review_order(cells, order)) == list(range(60))


def test_what_is_not_answered_comes_first_and_the_riskier_before_the_safer(cells):
    order = review_order(cells)
    answered = np.array([cells.statuses[place] == ANSWERED for place in cells.status])[order]
    assert answered.any()
    assert not answered.all()
    assert (np.diff(answered.astype(int)) >= 0).all()
    risks = risk(cells)[order]
    assert (np.diff(risks[~answered]) <= 0).all()
    assert (np.diff(risks[answered]) <= 0).all()
    by_class = review_order(cells, "class")
    assert (np.diff(cells.prediction[by_class]) >= 0).all()


def test_risk_is_the_expected_move_of_the_shares_in_their_standard_errors(cells):
    expected = cells.probabilities.astype(float).sum(axis=0)
    for cell in range(5):
        own = int(cells.prediction[cell])
        move = sum(
            float(cells.probabilities[cell, true]) * (expected[own] ** -0.5 + expected[true] ** -0.5)
            for true in range(5)
            if true != own
        )
        assert risk(cells)[cell] == pytest.approx(move, rel=1e-4)


def test_of_two_cells_as_doubtful_the_one_that_may_be_of_a_rare_class_comes_first():
    from types import SimpleNamespace

    probabilities = np.array(
        [[0.6, 0.4, 0.0], [0.6, 0.0, 0.4], *[[1.0, 0.0, 0.0]] * 50, *[[0.0, 1.0, 0.0]] * 50]
    )
    some = SimpleNamespace(
        probabilities=probabilities,
        prediction=probabilities.argmax(axis=1),
        confidence=probabilities.max(axis=1),
    )
    first, second, *_ = risk(some)
    assert second > 1.5 * first


def test_counts_follow_the_verdicts_with_exact_intervals(cells):
    verdicts = np.full(60, OPEN, np.int16)
    verdicts[:4] = [(cells.prediction[0] + 1) % 5, cells.prediction[1], 5, 6]
    found = tally(cells, verdicts)
    assert (found["cells"], found["decided"], found["changed"]) == (60, 4, 1)
    assert (found["artefacts"], found["unknown"]) == (1, 1)
    wanted = [int(cells.prediction[cell]) for cell in range(1, 60) if cell not in (2, 3)]
    wanted.append((int(cells.prediction[0]) + 1) % 5)
    for place, name in enumerate(cells.classes):
        one = found["reviewed"]["classes"][name]
        count = wanted.count(place)
        assert one["count"] == count
        assert one["share"] == pytest.approx(count / 58)
        assert one["low"] == pytest.approx(beta.ppf(0.025, count, 58 - count + 1) if count else 0)
        assert one["high"] == pytest.approx(beta.ppf(0.975, count + 1, 58 - count))
        assert found["machine"]["classes"][name]["count"] == (cells.prediction == place).sum()
    assert found["seen"]["images"] == 2
    among = cells.group == 0
    assert tally(cells, verdicts, among)["cells"] == among.sum()


def test_what_reviewers_say_differently_counts_as_the_machine_named_it(cells):
    anna, ben, eva = (np.full(60, OPEN, np.int16) for _ in range(3))
    anna[[0, 1, 2]] = [1, 2, 3]
    ben[[1, 2, 3]] = [2, 4, 0]
    eva[2] = 4
    shared = shared_verdicts([anna, ben, eva], 60)
    assert shared[:5].tolist() == [1, 2, DISAGREED, 0, OPEN]
    found = tally(cells, shared)
    assert (found["decided"], found["disagreed"]) == (3, 1)
    assert found["reviewed"]["images"] == 60


def test_kappa_is_that_of_the_table_of_both(cells):
    rng = np.random.default_rng(0)
    anna = rng.integers(-1, 7, 60).astype(np.int16)
    ben = np.where(rng.random(60) < 0.6, anna, rng.integers(-1, 7, 60)).astype(np.int16)
    both = (anna >= 0) & (ben >= 0)
    table = confusion_matrix(anna[both], ben[both])
    total = table.sum()
    chance = (table.sum(axis=0) * table.sum(axis=1)).sum() / total**2
    (pair,) = agreement({"Ben": ben, "Anna": anna, "Eva": np.full(60, OPEN, np.int16)})
    assert pair["reviewers"] == ["Anna", "Ben"]
    assert (pair["cells"], pair["same"]) == (total, np.trace(table))
    assert pair["kappa"] == pytest.approx((np.trace(table) / total - chance) / (1 - chance))
    assert pair["low"] < pair["share"] < pair["high"]


def test_reviewers_who_only_ever_said_one_thing_have_no_kappa():
    same = np.array([OPEN, 1, 1])
    assert agreement({"a": same, "b": same})[0]["kappa"] is None
    assert agreement({"a": same}) == []
