"""Tables as text: valid Markdown, aligned, and the paper's comparison of the phases."""

import re

import pytest
import torch

from wbc.metrics.classification import classification_metrics
from wbc.training.results import comparison_table
from wbc.utils.text_tables import markdown_table

CLASSES = ("Basophil", "Eosinophil", "Neutrophil")


def record(predictions: list[int], labels: list[int]) -> dict:
    return classification_metrics(torch.eye(3)[predictions], torch.tensor(labels), CLASSES)


def cells(table: str) -> dict[str, list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line
    ]
    return {row[0]: row[1:] for row in rows}


def test_columns_line_up_and_numbers_lean_right() -> None:
    table = markdown_table(
        ["class", "n", "recall"], [["Basophil", 89, "97.8 %"], ["Neutrophil", "2,660", "–"]]
    )
    assert table.splitlines() == [
        "| class      |     n | recall |",
        "| ---------- | ----: | -----: |",
        "| Basophil   |    89 | 97.8 % |",
        "| Neutrophil | 2,660 |      – |",
    ]


@pytest.mark.parametrize("number", [7, -0.5, "1e-05", "1e-4", "3,021", "12.5%", "99.0 %", "–"])
def test_numbers_are_recognised(number: object) -> None:
    assert markdown_table(["value"], [[number]]).splitlines()[1].endswith("-: |")


@pytest.mark.parametrize("text", ["", "head", "1e", "seed=1", "1 of 2"])
def test_text_leans_left(text: str) -> None:
    assert markdown_table(["value"], [[text], [1]]).splitlines()[1].endswith("-- |")


def test_pipes_and_line_breaks_stay_inside_their_cell() -> None:
    lines = markdown_table(["a|b"], [["one\ntwo"]]).splitlines()
    assert lines == ["| a\\|b    |", "| ------- |", "| one two |"]


def test_a_table_without_rows_is_still_a_table() -> None:
    assert markdown_table(["n"], []).splitlines() == ["| n   |", "| --- |"]


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="row 1 of the table has 1 cells for 2 headers"):
        markdown_table(["a", "b"], [[1, 2], [3]])
    with pytest.raises(ValueError, match="at least one column"):
        markdown_table([], [])


def test_comparison_holds_the_papers_rows_in_both_columns() -> None:
    labels = [0, 0, 1, 1, 2, 2, 2, 2]
    table = comparison_table(
        {
            "finetune": {"TestA": record(labels, labels)},
            "head": {"TestA": record([0, 2, 2, 2, 2, 2, 2, 2], labels)},
        }
    )
    assert table.startswith("**TestA**: 8 images\n\n|")
    assert cells(table) == {
        "": ["without fine-tuning", "with fine-tuning"],
        "-" * 25: ["-" * 18 + ":", "-" * 15 + ":"],
        "accuracy": ["62.5 %", "100.0 %"],
        "macro recall": ["50.0 %", "100.0 %"],
        "macro precision": ["52.4 %", "100.0 %"],  # (1 + 0 + 4/7) / 3
        "macro F1": ["46.5 %", "100.0 %"],  # (2/3 + 0 + 8/11) / 3
        "Cohen's kappa": ["0.294", "1.000"],  # (5/8 - 30/64) / (1 - 30/64)
        "macro AUROC": ["0.625", "1.000"],  # (3/4 + 1/2 + 5/8) / 3
        "Basophil recall (n = 2)": ["50.0 %", "100.0 %"],
        "Eosinophil recall (n = 2)": ["0.0 %", "100.0 %"],
        "Neutrophil recall (n = 4)": ["100.0 %", "100.0 %"],
    }


def test_a_single_phase_has_a_single_column() -> None:
    header = comparison_table({"finetune": {"val": record([0, 2], [0, 2])}}).splitlines()[2]
    assert re.findall(r"with\w* fine-tuning", header) == ["with fine-tuning"]


def test_the_final_model_has_the_last_column() -> None:
    one = record([0, 2], [0, 2])
    header = comparison_table({"final_model": {"val": one}, "finetune": {"val": one}}).splitlines()[2]
    assert re.findall(r"\w[\w -]+\w", header) == ["with fine-tuning", "final model"]


def test_absent_classes_are_named_and_unmeasured() -> None:
    tests = {"TestA": record([0, 1, 2], [0, 1, 2]), "TestB": record([2, 2], [2, 2])}
    first, second = comparison_table({"head": tests}).split("**TestB**")
    assert "none of" not in first
    assert second.startswith(": 2 images; none of Basophil, Eosinophil,")
    rows = cells(second)
    assert rows["Basophil recall (n = 0)"] == rows["Cohen's kappa"] == rows["macro AUROC"] == ["–"]
    assert rows["Neutrophil recall (n = 2)"] == ["100.0 %"]


def test_a_test_set_of_one_phase_leaves_the_other_open() -> None:
    table = comparison_table({"head": {}, "finetune": {"TestA": record([0, 2], [0, 2])}})
    assert cells(table)["accuracy"] == ["–", "100.0 %"]


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({}, "phases none: expected head and/or finetune"),
        ({"tuned": {"TestA": record([0], [0])}}, "tuned"),
        ({"head": {}}, "no test set"),
        (
            {"head": {"TestA": record([0], [0])}, "finetune": {"TestA": record([0, 1], [0, 1])}},
            "different images of TestA",
        ),
    ],
)
def test_results_that_cannot_be_compared_are_refused(results: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        comparison_table(results)
