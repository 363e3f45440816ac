"""Every figure against scikit-learn, what cannot be measured as None, and bad input refused."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor

from tests.helpers.figure_checks import CLASSES
from tests.helpers.score_tables import TABLES, table
from wbc.metrics.classification import (
    classification_metrics,
    epoch_metrics,
    one_vs_rest_auroc,
    one_vs_rest_average_precision,
)


@pytest.mark.parametrize(("probabilities", "labels"), TABLES.values(), ids=TABLES.keys())
def test_equals_scikit_learn(probabilities: Tensor, labels: Tensor) -> None:
    classes = [f"class {index}" for index in range(probabilities.shape[1])]
    measured = classification_metrics(probabilities, labels, classes)

    scores, true = probabilities.numpy(), labels.numpy()
    predicted = scores.argmax(axis=1)
    present = sorted(set(true.tolist()))
    macro = {"labels": present, "average": "macro", "zero_division": 0}
    areas = {index: sk.roc_auc_score(true == index, scores[:, index]) for index in present}
    expected = {
        "accuracy": sk.accuracy_score(true, predicted),
        "macro_recall": sk.recall_score(true, predicted, **macro),
        "macro_precision": sk.precision_score(true, predicted, **macro),
        "macro_f1": sk.f1_score(true, predicted, **macro),
        "cohen_kappa": sk.cohen_kappa_score(true, predicted),
        "macro_auroc": np.mean(list(areas.values())),
    }
    assert {key: measured[key] for key in expected} == pytest.approx(expected, abs=3e-6)
    assert measured["confusion"] == sk.confusion_matrix(true, predicted, labels=range(len(classes))).tolist()
    assert measured["images"] == len(true)
    assert measured["classes_present"] == [classes[index] for index in present]

    rows = sk.precision_recall_fscore_support(true, predicted, labels=present, zero_division=0)
    for place, index in enumerate(present):
        row = measured["per_class"][classes[index]]
        keys = ("precision", "recall", "f1", "support")
        assert [row[key] for key in keys] == pytest.approx([column[place] for column in rows], abs=3e-6)
        assert row["auroc"] == pytest.approx(areas[index], abs=3e-6)


@pytest.mark.parametrize("name", ["plain", "ties", "absent but predicted"])
def test_average_precision_equals_scikit_learn(name: str) -> None:
    probabilities, labels = TABLES[name]
    expected = [
        sk.average_precision_score(labels == index, probabilities[:, index]) if index in labels else None
        for index in range(5)
    ]
    assert one_vs_rest_average_precision(probabilities, labels) == pytest.approx(expected, abs=3e-6)


def test_absent_classes_have_no_scores_and_do_not_enter_the_averages() -> None:
    measured = classification_metrics(*TABLES["absent but predicted"], CLASSES)
    confusion = np.array(measured["confusion"])
    assert confusion[:, [0, 1, 3]].sum() > 0, "the case must predict absent classes"
    nothing = {"precision": None, "recall": None, "f1": None, "support": 0, "auroc": None}
    assert [measured["per_class"][CLASSES[index]] for index in (0, 1, 3)] == [nothing] * 3
    present = [measured["per_class"][CLASSES[index]]["f1"] for index in (2, 4)]
    assert measured["macro_f1"] == pytest.approx(np.mean(present), abs=2e-6)
    assert measured["classes_present"] == ["Lymphocyte", "Neutrophil"]


def test_one_class_only() -> None:
    measured = classification_metrics(torch.eye(5)[[4, 4, 4]], torch.tensor([4, 4, 4]), CLASSES)
    assert measured["accuracy"] == measured["macro_f1"] == 1.0
    assert measured["cohen_kappa"] is None
    assert measured["macro_auroc"] is None
    assert measured["per_class"]["Neutrophil"]["auroc"] is None
    # With one prediction astray chance agreement is defined, and so is kappa.
    assert (
        classification_metrics(torch.eye(5)[[4, 4, 0]], torch.tensor([4, 4, 4]), CLASSES)["cohen_kappa"] == 0
    )


def test_a_class_never_predicted_has_precision_zero() -> None:
    measured = classification_metrics(torch.eye(5)[[0, 0]], torch.tensor([0, 1]), CLASSES)
    assert measured["per_class"]["Eosinophil"]["precision"] == 0.0
    assert measured["macro_precision"] == 0.25


def test_the_first_of_equal_probabilities_is_predicted() -> None:
    measured = classification_metrics(torch.full((1, 5), 0.2), torch.tensor([0]), CLASSES)
    assert measured["accuracy"] == 1.0


def test_is_plain_json_without_nan() -> None:
    probabilities, labels = TABLES["absent but predicted"]
    measured = classification_metrics(probabilities.float(), labels, CLASSES)
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured
    assert type(measured["accuracy"]) is float
    assert type(measured["confusion"][0][0]) is int
    four_of_five = classification_metrics(torch.eye(5), torch.tensor([0, 1, 2, 3, 3]), CLASSES)
    assert json.dumps(four_of_five["accuracy"]) == "0.8"  # not float32's 0.800000011920929


def test_bfloat16_probabilities_are_taken() -> None:
    probabilities, labels = table(7)
    measured = classification_metrics(probabilities.bfloat16(), labels, CLASSES)
    assert measured["macro_auroc"] == pytest.approx(
        classification_metrics(probabilities, labels, CLASSES)["macro_auroc"], abs=0.01
    )


def test_auroc_counts_ties_half() -> None:
    areas = one_vs_rest_auroc(torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.1, 0.9]]), torch.tensor([0, 1, 1]))
    assert areas == pytest.approx([0.75, 0.75])


GOOD = torch.full((2, 5), 0.2)
BAD = {
    "no images": (torch.zeros(0, 5), torch.zeros(0, dtype=torch.long), CLASSES, "no images"),
    "label too large": (GOOD, torch.tensor([0, 5]), CLASSES, r"label 5 in row 1 is outside 0\.\.4"),
    "label negative": (GOOD, torch.tensor([-1, 0]), CLASSES, "label -1 in row 0"),
    "labels are floats": (GOOD, torch.tensor([0.0, 1.0]), CLASSES, "float32.*int64"),
    "one label missing": (GOOD, torch.tensor([0]), CLASSES, r"\(1,\) beside 2 rows"),
    "one-hot labels": (GOOD, torch.eye(5)[:2].long(), CLASSES, "one label a row"),
    "a column missing": (GOOD[:, :4], torch.tensor([0, 1]), CLASSES, r"\(2, 4\).*5 columns.*Basophil"),
    "no columns": (GOOD[:, 0], torch.tensor([0, 1]), CLASSES, "shape"),
    "NaN": (
        GOOD.clone().index_fill_(0, torch.tensor(1), math.nan),
        torch.tensor([0, 1]),
        CLASSES,
        "row 1.*nan",
    ),
    "logits": (torch.tensor([[3.0, -1, 0, 0, 0]]), torch.tensor([0]), CLASSES, "row 0.*softmax"),
    "sigmoids": (torch.full((1, 5), 0.9), torch.tensor([0]), CLASSES, "sum to 1"),
    "one class": (torch.ones(1, 1), torch.tensor([0]), CLASSES[:1], "two or more"),
    "same name twice": (GOOD, torch.tensor([0, 1]), ("A", "B", "C", "D", "A"), "different class names"),
}


@pytest.mark.parametrize(("probabilities", "labels", "classes", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(probabilities: Tensor, labels: Tensor, classes: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classification_metrics(probabilities, labels, classes)


@pytest.mark.parametrize("name", ["plain", "absent but predicted", "few images"])
def test_validation_meters_agree_with_the_report(name: str) -> None:
    probabilities, labels = TABLES[name]
    report = classification_metrics(probabilities, labels, CLASSES)
    whole = epoch_metrics(len(CLASSES), "val_")
    for batch in torch.arange(len(labels)).split(7):
        whole.update(probabilities[batch].log(), labels[batch])  # logits serve as well
    values = {key: value.item() for key, value in whole.compute().items()}
    expected = {"val_accuracy": report["accuracy"], "val_macro_f1": report["macro_f1"]}
    assert values == pytest.approx(expected, abs=2e-6)


def test_validation_meters_add_up_over_processes() -> None:
    probabilities, labels = TABLES["absent but predicted"]
    order = labels.argsort()  # each process sees one of the two classes only
    meters = [epoch_metrics(len(CLASSES), "val_") for _ in range(2)]
    for meter, part in zip(meters, order.chunk(2), strict=True):
        meter.update(probabilities[part], labels[part])
    for name, meter in meters[0].items(keep_base=True):
        meter.merge_state(meters[1][name])
    expected = classification_metrics(probabilities, labels, CLASSES)["macro_f1"]
    assert meters[0].compute()["val_macro_f1"].item() == pytest.approx(expected, abs=2e-6)


def test_validation_meters_start_anew_after_reset() -> None:
    meters = epoch_metrics(2, "val_")
    meters.update(torch.eye(2), torch.tensor([1, 0]))
    assert meters.compute()["val_accuracy"] == 0
    meters.reset()
    meters.update(torch.eye(2), torch.tensor([0, 1]))
    assert meters.compute() == {"val_accuracy": 1, "val_macro_f1": 1}
