"""The table lab by lab: its means by hand."""

import pytest

from wbc.report.lab_table import lab_means, labs_table
from wbc.utils.text_tables import mean_of_labs

NONE = {"low": None, "high": None}


def record(accuracy, answered_accuracy, **changes):
    answers = {"ece": 0.1, "answered_share": 0.5, "answered_accuracy": answered_accuracy}
    answers |= {"unknown_share": 0.0, "set_coverage": 0.9, "answered_accuracy_interval": NONE}
    plain = {"images": 10, "accuracy": accuracy, "macro_f1": accuracy, "note": "", "in_lab": False}
    return plain | {"intervals": {"accuracy": NONE, "macro_f1": NONE}, "answers": answers} | changes


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.5, 0.7], 0.6), ([0.5, None], None), ([None, None], None), ([], None), ([0.0], 0.0)],
)
def test_a_mean_over_fewer_labs_is_none(values, expected):
    assert mean_of_labs(values) == pytest.approx(expected)


def test_where_a_lab_had_no_answer_there_is_no_mean_of_answers():
    sets = {"a": record(0.8, 0.9), "b": record(0.6, None), "own": record(1.0, 1.0, in_lab=True)}
    means = lab_means(sets)
    assert means["other-lab mean"]["accuracy"] == pytest.approx(0.7)
    assert means["other-lab mean"]["answered_accuracy"] is None
    assert means["in-lab mean"]["answered_accuracy"] == 1
    headers, rows = labs_table(sets, means)
    assert rows[-1][headers.index("accuracy when answered")] == "–"
    assert rows[-1][headers.index("accuracy")] == "70.0 %"
    assert [row[0] for row in rows] == ["a", "b", "own", "other-lab mean (2)"], "one set is no mean"
