"""Which decisions a report shows: errors by confidence, examples of each kind, and names told apart."""

import pytest

from tests.helpers.set_results import CLASSES, result
from wbc.plain.answers import ANSWERED, NOT_CALIBRATED, UNCERTAIN
from wbc.report.decisions import examples, image_names, right_decisions, wrong_decisions
from wbc.report.set_result import SetResult


def many(status: list[str]) -> SetResult:
    """40 images, every other one wrong."""
    given = [CLASSES[number % 2] for number in range(40)]
    return result("a", ["Monocyte"] * 40, given, [0.9] * 40, status)


def test_errors_of_all_sets_come_by_confidence():
    one = result("a", ["Basophil"] * 3, ["Monocyte", "Basophil", "Monocyte"], [0.6, 0.9, 0.8], [ANSWERED] * 3)
    two = result("b", ["Basophil"], ["Monocyte"], [0.7], [UNCERTAIN])
    rows = wrong_decisions([one, two])
    assert rows["probability"].tolist() == pytest.approx([0.8, 0.7, 0.6])
    assert rows["data"].tolist() == ["a", "b", "a"]
    assert rows["status"].tolist() == [ANSWERED, UNCERTAIN, ANSWERED]
    assert right_decisions(one, seed=0)["path"].tolist() == ["/a/Basophil/0001.png"]


@pytest.mark.parametrize(
    ("status", "right", "wrong", "held_back"),
    [
        ([ANSWERED] * 20 + [UNCERTAIN] * 20, 3, 3, 2),
        ([NOT_CALIBRATED] * 40, None, None, 0),
        ([UNCERTAIN] * 40, 0, 0, 8),
    ],
)
def test_examples_are_of_every_kind_and_eight_where_there_are_as_many(status, right, wrong, held_back):
    rows = examples(many(status), seed=3)
    answered, is_right = rows["status"] != UNCERTAIN, rows["predicted"] == rows["label"]
    assert len(rows) == 8
    assert rows["path"].is_unique
    assert (~answered).sum() == held_back
    if right is not None:
        assert [(answered & is_right).sum(), (answered & ~is_right).sum()] == [right, wrong]
    else:
        assert min((answered & is_right).sum(), (answered & ~is_right).sum()) >= 3
    assert rows.equals(examples(many(status), seed=3))
    assert not rows.equals(examples(many(status), seed=4))


def test_a_set_of_few_images_shows_them_all():
    few = result("a", ["Monocyte"], ["Monocyte"], [0.9], [ANSWERED])
    assert len(examples(few, seed=0)) == 1


def test_no_two_images_of_a_report_are_called_alike():
    one, two = (result(name, CLASSES, CLASSES, [0.9] * 2, [ANSWERED] * 2) for name in ("a", "b"))
    names = image_names([one, two])
    assert names["/a/Basophil/0000.png"] == "a/Basophil/0000.png"
    assert len(set(names.values())) == 4
    assert image_names([one, one])["/a/Monocyte/0001.png"] == "0001.png"
