"""A measured set: every statistic against scikit-learn, intervals against closed forms and the library."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from tests.helpers.score_tables import CLASSES, TABLES, table
from wbc.metrics.calibration import brier_score, expected_calibration_error
from wbc.metrics.classification import classification_metrics
from wbc.metrics.intervals import Interval, bootstrap_interval, exact_interval, mean_interval
from wbc.metrics.resampled import row_statistics
from wbc.metrics.with_intervals import measured_set, mirrored

NAMES = ["accuracy", "macro_recall", "macro_precision", "macro_f1", "cohen_kappa", "macro_auroc"]
PLAIN = measured_set(*TABLES["plain"], CLASSES)


@pytest.mark.parametrize("name", ["plain", "two classes", "absent but predicted", "ties"])
def test_statistics_of_a_resample_are_those_of_a_set_made_of_its_rows(name):
    probabilities, labels = TABLES[name]
    classes = [str(index) for index in range(probabilities.shape[1])]
    statistics = row_statistics(probabilities, labels)
    assert set(statistics) == {*NAMES, "ece", "brier"}
    rng = np.random.default_rng(0)
    for rows in (np.arange(len(labels)), rng.integers(len(labels), size=150), rng.integers(9, size=9)):
        record = classification_metrics(probabilities[rows], labels[rows], classes)
        record["ece"] = expected_calibration_error(probabilities[rows], labels[rows])
        record["brier"] = brier_score(probabilities[rows], labels[rows])
        found = {metric: statistic(rows) for metric, statistic in statistics.items()}
        assert found == pytest.approx({metric: record[metric] for metric in found}, abs=3e-6)


def test_statistics_that_are_undefined_are_nan():
    statistics = row_statistics(torch.eye(5).double(), torch.arange(5))
    rows = np.array([2, 2])
    assert math.isnan(statistics["macro_auroc"](rows))
    assert math.isnan(statistics["cohen_kappa"](rows))
    assert statistics["macro_recall"](rows) == 1


def test_the_record_is_that_of_the_metrics_and_more():
    probabilities, labels = TABLES["plain"]
    for key, value in classification_metrics(probabilities, labels, CLASSES).items():
        if key != "per_class":
            assert PLAIN[key] == value
    truth = np.eye(5)[labels.numpy()]
    assert PLAIN["brier"] == pytest.approx(((probabilities.numpy() - truth) ** 2).sum() / 200, abs=1e-6)
    assert PLAIN["ece"] == pytest.approx(expected_calibration_error(probabilities, labels), abs=1e-6)
    for index, name in enumerate(CLASSES):
        area = sk.average_precision_score(labels == index, probabilities[:, index])
        assert PLAIN["per_class"][name]["average_precision"] == pytest.approx(area, abs=3e-6)
    assert PLAIN["resampled"] == "images"
    assert json.loads(json.dumps(PLAIN, allow_nan=False)) == PLAIN


def test_intervals_are_those_of_the_bootstrap():
    probabilities, labels = TABLES["plain"]
    right = (probabilities.argmax(dim=1) == labels).numpy()
    squares = (probabilities - torch.nn.functional.one_hot(labels)).square().sum(dim=1).numpy()
    for name, values in (("accuracy", right), ("brier", squares)):
        limits = PLAIN["intervals"][name]
        expected = mean_interval(values, resamples=1000)
        assert [limits["low"], limits["high"]] == pytest.approx(expected[1:], abs=1e-6)
    ece = bootstrap_interval(200, row_statistics(probabilities, labels)["ece"], resamples=1000)
    assert list(PLAIN["intervals"]["ece"].values()) == pytest.approx(mirrored(ece)[1:], abs=1e-6)


def test_recall_without_groups_has_the_exact_interval():
    confusion = np.array(PLAIN["confusion"])
    for index, name in enumerate(CLASSES):
        expected = exact_interval(int(confusion[index, index]), int(confusion[index].sum()))
        limits = PLAIN["intervals"]["recall"][name]
        assert [limits["low"], limits["high"]] == pytest.approx(expected[1:], abs=1e-6)


def test_copies_in_a_group_count_once():
    """Each image five times, its copies a group: the intervals of the images alone."""
    probabilities, labels = TABLES["plain"]
    groups = np.repeat(np.arange(200).astype(str), 5)
    copies = measured_set(probabilities.repeat_interleave(5, 0), labels.repeat_interleave(5), CLASSES, groups)
    assert copies["resampled"] == "groups"
    singly = measured_set(probabilities.repeat_interleave(5, 0), labels.repeat_interleave(5), CLASSES)
    for metric in (*NAMES, "brier"):
        widths = [
            record["intervals"][metric]["high"] - record["intervals"][metric]["low"]
            for record in (PLAIN, copies, singly)
        ]
        assert widths[1] == pytest.approx(widths[0], rel=0.15)
        assert widths[2] == pytest.approx(widths[0] / math.sqrt(5), rel=0.15)
    right = (probabilities.argmax(dim=1) == labels).numpy()[(labels == 1).numpy()]
    expected = mean_interval(right, resamples=1000)
    limits = copies["intervals"]["recall"]["Eosinophil"]
    assert [limits["low"], limits["high"]] == pytest.approx(expected[1:], abs=1e-6)


def test_images_without_a_group_stand_for_themselves():
    probabilities, labels = TABLES["plain"]
    alone = measured_set(probabilities, labels, CLASSES, np.full(200, ""))
    assert alone == PLAIN
    named = measured_set(probabilities, labels, CLASSES, ["a slide of one image"] + [""] * 199)
    assert named["resampled"] == "groups"
    for metric in (*NAMES, "brier", "ece"):
        limits, expected = named["intervals"][metric], PLAIN["intervals"][metric]
        assert limits == pytest.approx(expected, abs=0.15 * (expected["high"] - expected["low"]))


@pytest.mark.parametrize(("gap", "at_least"), [(0.0, 10), (0.1, 18)])
def test_the_interval_of_the_ece_holds_the_gap_it_was_drawn_with(gap, at_least):
    """The percentiles never hold a gap of 0; mirrored, they do so in two of three."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(20):
        confidences = rng.choice([0.7, 0.9, 0.97], 1000)
        right = rng.random(1000) < confidences - gap
        probabilities = torch.from_numpy(np.stack([confidences, 1 - confidences], axis=1))
        ece = row_statistics(probabilities, torch.from_numpy(np.where(right, 0, 1)))["ece"]
        percentiles = bootstrap_interval(1000, ece, resamples=300)
        low, high = mirrored(percentiles)[1:]
        assert low <= ece(np.arange(1000)) <= high
        held += low <= gap <= high
    assert held >= at_least


def test_mirrored_limits_by_hand():
    assert mirrored(Interval(3.0, 2.5, 5.0)) == pytest.approx((3.0, 1.0, 3.5))
    assert mirrored(Interval(1.0, 1.5, 4.0)) == (1.0, 0.0, 1.0)
    assert all(math.isnan(limit) for limit in mirrored(Interval(1.0, math.nan, math.nan))[1:])


@pytest.mark.parametrize(
    ("probabilities", "labels", "groups", "undefined"),
    [
        (*table(0, 30), np.full(30, "one slide"), {*NAMES, "ece", "brier"}),
        (torch.eye(5)[[4, 4, 4]], torch.tensor([4, 4, 4]), None, {"cohen_kappa", "macro_auroc"}),
        (torch.eye(5)[:1], torch.tensor([0]), None, {*NAMES, "ece", "brier"}),
    ],
    ids=["one group", "one class", "one image"],
)
def test_what_has_no_interval_has_no_limits(probabilities, labels, groups, undefined):
    record = measured_set(probabilities, labels, CLASSES, groups)
    for metric in (*NAMES, "ece", "brier"):
        assert (record["intervals"][metric]["low"] is None) == (metric in undefined)
        assert (record["intervals"][metric]["high"] is None) == (metric in undefined)
    json.dumps(record, allow_nan=False)


def test_absent_classes_have_no_limits():
    record = measured_set(*TABLES["absent but predicted"], CLASSES)
    assert record["intervals"]["recall"]["Basophil"] == {"low": None, "high": None}
    assert record["per_class"]["Basophil"]["average_precision"] is None
    assert record["intervals"]["recall"]["Lymphocyte"]["low"] > 0


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\) beside 200 images"):
        measured_set(*TABLES["plain"], CLASSES, ["a", "b"])
