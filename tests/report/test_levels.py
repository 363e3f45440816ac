"""Answers by level against counts by hand."""

import pytest

from tests.helpers.set_results import result
from wbc.hierarchy import Hierarchy
from wbc.plain.answers import ANSWERED, UNCERTAIN
from wbc.report.levels import levels_record, levels_table
from wbc.report.record import set_record

CLASSES = ["Band", "Segmented", "Basophil", "Lymphocyte"]
TREE = {"neutrophil": ["Band", "Segmented"], "granulocyte": ["neutrophil", "Basophil"]}
NEUTROPHIL, GRANULOCYTE = "answered as neutrophil", "answered as granulocyte"
#        true class, predicted, status
CELLS = [
    ("Band", "Band", ANSWERED),
    ("Band", "Segmented", ANSWERED),
    ("Basophil", "Segmented", ANSWERED),
    ("Lymphocyte", "Segmented", ANSWERED),
    ("Segmented", "Band", NEUTROPHIL),
    ("Basophil", "Band", NEUTROPHIL),
    ("Lymphocyte", "Band", NEUTROPHIL),
    ("Basophil", "Band", GRANULOCYTE),
    ("Lymphocyte", "Basophil", UNCERTAIN),
    ("Lymphocyte", "Lymphocyte", UNCERTAIN),
]


@pytest.fixture
def measured():
    labels, given, status = map(list, zip(*CELLS, strict=True))
    return result(
        "test", labels, given, [0.7] * len(CELLS), status, classes=CLASSES, hierarchy=Hierarchy(TREE, CLASSES)
    )


def test_each_level_has_its_images_and_its_errors(measured):
    record = levels_record(measured)
    parts = {
        "class": record["classes"],
        **record["superclasses"],
        "together": record["together"],
        "every": record["every_image"],
    }
    found = {name: (one["images"], one["right"], one["within"], one["across"]) for name, one in parts.items()}
    assert found == {
        "class": (4, 1, {"neutrophil": 1, "granulocyte": 1}, 1),
        "neutrophil": (3, 1, {"granulocyte": 1}, 1),
        "granulocyte": (1, 1, {}, 0),
        "together": (8, 3, {"neutrophil": 1, "granulocyte": 2}, 2),
        "every": (10, 2, {"neutrophil": 2, "granulocyte": 3}, 3),
    }
    assert record["together"]["share"] == 0.8
    assert record["together"]["accuracy"] == 0.375
    assert record["together"]["accuracy_interval"]["low"] < 0.375


def test_the_table_has_a_row_a_level(measured):
    headers, rows = levels_table(levels_record(measured))
    assert [row[0] for row in rows][:3] == ["the class", "neutrophil", "granulocyte"]
    assert rows[0][4:] == ["neutrophil 1, granulocyte 1", "1"]
    assert rows[2][4:] == ["0", "0"]
    assert all(len(row) == len(headers) for row in rows)


def test_a_model_without_superclasses_has_no_levels(measured):
    plain = result("test", ["Basophil"], ["Basophil"], [0.9], [ANSWERED])
    assert levels_record(plain) is None
    assert set_record(measured, "m")["levels"] == levels_record(measured)
