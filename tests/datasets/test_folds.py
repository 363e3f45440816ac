"""Folds: classes spread evenly, groups whole, and what cannot be shared out told."""

import logging

import pandas as pd
import pytest

from wbc.datasets.folds import NEVER, fold_numbers
from wbc.errors import DataError


def cells(labels: str, groups: list[str] | None = None) -> tuple[pd.DataFrame, pd.Series]:
    """One image a letter of `labels`."""
    names = [f"{number}.png" for number in range(len(labels))]
    frame = pd.DataFrame({"path": names, "label": list(labels), "group": groups or "", "source": "lab"})
    return frame, frame["path"]  # all pixels differ


def test_each_class_is_spread_evenly_whatever_the_order():
    frame, hashes = cells("a" * 23 + "b" * 10 + "c" * 3)
    folds = fold_numbers(frame, hashes, 5, 0)
    table = pd.crosstab(frame["label"], folds)
    assert table.loc["a"].between(4, 5).all()
    assert (table.loc["b"] == 2).all()
    assert sorted(table.loc["c"]) == [0, 0, 1, 1, 1]
    assert folds.equals(fold_numbers(frame, hashes, 5, 0))
    assert not folds.equals(fold_numbers(frame, hashes, 5, 1))


def test_classes_of_each_lab_are_spread_by_themselves():
    frame, hashes = cells("a" * 40)
    frame["source"] = ["one"] * 10 + ["two"] * 30
    table = pd.crosstab(frame["source"], fold_numbers(frame, hashes, 5, 0))
    assert (table.loc["one"] == 2).all()
    assert (table.loc["two"] == 6).all()


def test_groups_copies_and_photographs_are_held_out_whole():
    groups = [f"slide {number % 9}" for number in range(60)]
    frame, hashes = cells("ab" * 30, groups)
    folds = fold_numbers(frame, hashes, 3, 0)
    assert (folds.groupby(frame["group"]).nunique() == 1).all()
    assert set(folds) == {0, 1, 2}
    frame, hashes = cells("ab" * 30)
    twins = fold_numbers(frame, pd.Series([f"{number // 4}" for number in range(60)]), 3, 0)
    assert (twins.groupby(frame.index // 4).nunique() == 1).all()


def test_a_class_that_cannot_be_shared_out_trains_in_all_folds_and_is_told(caplog):
    frame, hashes = cells("a" * 10 + "b" * 10 + "c", [f"g{number % 5}" for number in range(20)] + ["alone"])
    with caplog.at_level(logging.WARNING):
        folds = fold_numbers(frame, hashes, 5, 0)
    assert folds[20] == NEVER
    assert (folds[:20] != NEVER).all()
    assert "1 images of c belong together" in caplog.text


@pytest.mark.parametrize(
    ("labels", "groups", "count", "said"),
    [
        ("aaabbb", None, 5, r"6 images in 6 groups .* make no more than 3; give data\.folds=3"),
        ("abababab", [*"11223344"], 5, r"8 images in 4 groups .* make no more than 4; give data\.folds=4"),
        ("ab", None, 2, r"make no more than 0; give more images, or data\.folds=0"),
    ],
)
def test_more_folds_than_images_can_make_are_refused_with_the_number_that_they_can(
    labels, groups, count, said
):
    frame, hashes = cells(labels, groups)
    with pytest.raises(DataError, match=said):
        fold_numbers(frame, hashes, count, 0)
    if "give data.folds=" in said.replace("\\", ""):
        assert set(fold_numbers(frame, hashes, int(said[-1]), 0)) == set(range(int(said[-1])))


def test_a_fold_without_an_image_is_refused_with_a_number_that_does():
    frame, hashes = cells("a" * 30 + "b" * 30, ["big"] * 20 + ["1", "2"] * 5 + ["big"] * 20 + ["1", "2"] * 5)
    assert set(fold_numbers(frame, hashes, 3, 0)) == {0, 1, 2}
