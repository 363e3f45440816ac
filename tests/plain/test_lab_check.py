"""Pictures of a job as one sample: of the validation images' own world, or of another."""

import numpy as np
import pytest

from wbc.plain.answers import ANSWERED, UNCERTAIN, Answers
from wbc.plain.lab_check import ELSEWHERE, LabCheck, LabTally, fit_lab_check, of_one_lab, said_of_lab

CLASSES = ["Lymphocyte", "Neutrophil"]
MIDDLES = np.eye(2, 8) * 4


def cells(count: int, label: int, spread: float, seed: int) -> np.ndarray:
    """Features (count, 8) around the middle of a class."""
    return MIDDLES[label] + spread * np.random.default_rng(seed).normal(size=(count, 8))


@pytest.fixture(scope="module")
def check() -> LabCheck:
    """300 Lymphocytes, and 60 Neutrophils, whose features vary more."""
    features = np.concatenate([cells(300, 0, 0.5, 0), cells(60, 1, 1.0, 1)])
    return fit_lab_check(features.astype(np.float32), np.repeat([0, 1], [300, 60]))


def record(check: LabCheck, features: np.ndarray, named: np.ndarray) -> dict:
    tally = LabTally(len(check.bank))
    for part in (slice(0, 7), slice(7, None)):  # as they come
        tally.add(check.ranks(features[part].astype(np.float32), named[part]))
    return tally.record()


@pytest.mark.parametrize(("lymphocytes", "neutrophils"), [(200, 40), (0, 200), (3, 1)])
def test_the_own_world_is_known_whatever_the_mix_of_classes(check, lymphocytes, neutrophils):
    features = np.concatenate([cells(lymphocytes, 0, 0.5, 2), cells(neutrophils, 1, 1.0, 3)])
    found = record(check, features, np.repeat([0, 1], [lymphocytes, neutrophils]))
    assert found["images"] == lymphocytes + neutrophils
    assert not found["elsewhere"]
    if found["images"] > 4:
        assert found["rank"] == pytest.approx(0.5, abs=0.08)
    assert said_of_lab(found) == ""


def test_another_world_is_known_too_and_nothing_is_answered_there(check):
    features = cells(40, 0, 1.2, 4).astype(np.float32)
    status = [ANSWERED] * 30 + [UNCERTAIN] * 10
    answers = Answers(["Lymphocyte"] * 40, np.ones((40, 2)), [[]] * 40, status, np.zeros(40), [None] * 40)
    found, said = of_one_lab(answers, features, check, CLASSES)
    assert said["elsewhere"]
    assert said["rank"] > said["at_least"] > said["limit"]
    assert found.status == [ELSEWHERE] * 30 + [UNCERTAIN] * 10
    assert found._replace(status=status) == answers
    assert "these 40 pictures are of another lab" in said_of_lab(said)


@pytest.mark.parametrize(("spread", "least", "most"), [(0.5, 0.0, 0.0), (1.5, 0.9, 1.0)])
def test_six_validation_images_a_class_are_enough(spread, least, most):
    """As a folder of 200 cells leaves.  By the fifth nearest, of 40 other labs 34 were told."""
    told = []
    for seed in range(0, 4000, 100):
        known = np.concatenate([cells(6, label, 0.5, seed + label) for label in (0, 1)])
        few = fit_lab_check(known.astype(np.float32), np.repeat([0, 1], 6))
        pictures = np.concatenate([cells(40, label, spread, seed + 5000 + label) for label in (0, 1)])
        told.append(record(few, pictures, np.repeat([0, 1], 40))["elsewhere"])
    assert least <= np.mean(told) <= most


def test_one_picture_tells_nothing_and_two_far_ones_do(check):
    for count, told in ((1, False), (2, True)):
        assert record(check, cells(count, 0, 5.0, 5), np.zeros(count, int))["elsewhere"] == told
    none = record(check, np.empty((0, 8)), np.empty(0, int))
    assert (none["images"], none["elsewhere"]) == (0, False)


def test_a_model_without_the_check_answers_as_before():
    answers = Answers(["Lymphocyte"], np.ones((1, 2)), [[]], [ANSWERED], np.zeros(1), [None])
    assert of_one_lab(answers, np.ones((1, 8)), None, CLASSES) == (answers, None)


def test_of_many_validation_images_some_are_kept_and_of_one_there_is_no_other(check):
    many = fit_lab_check(cells(900, 0, 1.0, 6), np.zeros(900, int))
    assert many.bank.shape == (500, 8)
    assert fit_lab_check(np.ones((1, 8)), np.array([0])).distances.tolist() == [0.0]
    assert not record(many, cells(300, 0, 1.0, 7), np.zeros(300, int))["elsewhere"]


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("bank", np.zeros((0, 8), np.float16), "as many images"),
        ("named", np.zeros(3, np.int64), "as many images"),
        ("named", np.full(360, 2), "classes that the model does not have"),
        ("distances", np.full(360, np.nan), "not finite"),
    ],
)
def test_a_damaged_state_is_refused(check, name, values, said):
    with pytest.raises(ValueError, match=said):
        LabCheck.from_state(check.state() | {name: values}, 2)
    assert LabCheck.from_state(check.state(), 2).bank is check.bank
