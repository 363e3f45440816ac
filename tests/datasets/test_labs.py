"""Labs joined in one table, split each by itself, or one kept for the test."""

import pandas as pd
import pytest

from tests.helpers.trees import data_config, picture, write_classes, write_image, write_splits
from wbc.datasets.manifest import build_manifest
from wbc.errors import ConfigError, DataError
from wbc.labels import CLASSES


def labs_config(root, labs, **changes):
    return data_config(root, source="labs", labs=labs, **changes)


def counts(frame):
    used = frame[frame["excluded"] == ""]
    return used.groupby(["source", "split"]).size().to_dict()


@pytest.fixture
def root(tmp_path):
    """A folder without splits, one with train and val, a table with groups, and test images alone."""
    root = tmp_path / "labs"
    write_classes(root / "folder", 20)
    seed = 100
    for split, images in {"train": 10, "val": 4}.items():
        seed = write_classes(root / "split" / split, images, first_seed=seed)
    rows = ["path,label,group,source"]
    for label in CLASSES:
        for number in range(10):
            write_image(root / "table" / f"{label}{number}.png", picture(seed))
            rows.append(f"{label}{number}.png,{label},{number},somebody")
            seed += 1
    (root / "table" / "cells.csv").write_text("\n".join(rows))
    write_classes(root / "tests" / "test", 1, ["Basophil"], first_seed=seed)
    return root


ALL = {"One": "folder", "two": "split", "three": "table/cells.csv", "four": "tests"}


def test_labs_are_joined_and_each_is_split_by_itself(root):
    frame = build_manifest(labs_config(root, ALL), seed=0)
    found = counts(frame)
    three = {split: found.pop(("three", split)) for split in ("train", "val", "test_three")}
    assert sum(three.values()) == 50
    assert found == {
        ("One", "train"): 70,
        ("One", "val"): 15,
        ("One", "test_one"): 15,
        ("two", "train"): 40,  # 0.15 of 10 a class, rounded to 2, went to the test
        ("two", "val"): 20,
        ("two", "test_two"): 10,
        ("four", "test_four"): 1,
    }
    groups = frame[frame["source"] == "three"].groupby("group")["split"].nunique()
    assert set(groups.index) == {f"three/{number}" for number in range(10)}
    assert (groups == 1).all()  # whole groups moved


def test_an_absolute_place_is_not_taken_below_root(root, tmp_path):
    labs = {"one": str(root / "folder"), "two": "labs/split"}
    assert set(build_manifest(labs_config(tmp_path, labs), seed=0)["source"]) == {"one", "two"}


def test_copies_in_another_lab_do_not_leak(root):
    given = root / "split" / "val" / "Basophil" / "000.png"
    write_image(root / "folder" / "Basophil" / "copy.png", picture(100 + 50))  # the same as `given`
    frame = build_manifest(labs_config(root, {"one": "folder", "two": "split"}), seed=0)
    copy = frame[frame["path"].str.endswith("copy.png")].iloc[0]
    assert copy["identical_to"] == str(given)
    used = frame[frame["excluded"] == ""]
    splits = used[used["path"].isin([copy["path"], str(given)])]["split"].unique()
    assert len(splits) == 1


@pytest.mark.parametrize("lab", ["One", "two", "four"])
def test_a_lab_left_out_is_a_test_set_and_nothing_else(root, lab):
    whole = build_manifest(labs_config(root, ALL), seed=0)
    frame = build_manifest(labs_config(root, ALL, leave_out=lab), seed=0)
    rows = frame[frame["source"] == lab]
    assert set(rows["split"]) == {f"test_{lab.casefold()}"}
    assert len(rows) == (whole["source"] == lab).sum()
    others = {key: number for key, number in counts(whole).items() if key[0] != lab}
    assert {key: number for key, number in counts(frame).items() if key[0] != lab} == others


@pytest.mark.parametrize("with_splits", [True, False])
def test_a_source_of_a_table_can_be_left_out(tmp_path, with_splits):
    write_splits(tmp_path, train=9, val=3, test=3)
    files = sorted(tmp_path.rglob("*.png"))
    rows = [
        {
            "path": str(path),
            "label": path.parent.name,
            "split": path.parent.parent.name if with_splits else "",
            "source": f"Lab {int(path.stem) % 3}",
        }
        for path in files
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "cells.csv", index=False)
    config = data_config(tmp_path / "cells.csv", source="manifest", leave_out="Lab 1")
    frame = build_manifest(config, seed=0)
    assert (frame["split"] == "test_lab_1").equals(frame["source"] == "Lab 1")
    assert set(frame["split"]) == {"train", "val", "test", "test_lab_1"}


@pytest.mark.parametrize(
    ("labs", "changes", "error", "complaint"),
    [
        ({"a": "gone"}, {}, DataError, r"data\.labs\.a: .*gone does not exist"),
        ({"a": "gone.csv"}, {}, DataError, r"data\.labs\.a: .*does not exist"),
        ({"a": "folder", "b": "folder"}, {}, DataError, "100 files are in two .* a and b"),
        ({"a b": "folder", "A-B": "split"}, {}, ConfigError, "'a b' and 'A-B' would both be test_a_b"),
        ({"a": "tests"}, {}, DataError, "no training image"),
        ({"a": "folder", "b": "lone"}, {}, DataError, r"data\.labs\.b: no test set can be taken"),
        ({"a": "folder"}, {"leave_out": "a"}, ConfigError, "every image comes from there"),
        ({"a": "folder", "b": "split"}, {"leave_out": "c"}, ConfigError, "the labs are a, b"),
    ],
)
def test_labs_that_cannot_be_used_are_named(root, labs, changes, error, complaint):
    write_classes(root / "lone", 1, ["Basophil"], first_seed=900)
    with pytest.raises(error, match=complaint):
        build_manifest(labs_config(root, labs, **changes), seed=0)


def test_a_test_set_named_after_a_lab_holds_no_other_labs_images(tmp_path):
    rows = ["path,label,split,source"]
    for number, (split, source) in enumerate([("train", "a"), ("val", "a"), ("test_b", "c"), ("", "b")]):
        for place, label in enumerate(CLASSES):
            write_image(tmp_path / f"{number}{place}.png", picture(10 * number + place))
            rows.append(f"{number}{place}.png,{label},{split or 'train'},{source}")
    (tmp_path / "cells.csv").write_text("\n".join(rows))
    config = data_config(tmp_path / "cells.csv", source="manifest", leave_out="b")
    with pytest.raises(DataError, match=r"test_b would hold images of b and c.*rename the lab"):
        build_manifest(config, seed=0)


def test_two_labs_whose_test_sets_would_have_one_name_are_refused(tmp_path):
    seed = write_classes(tmp_path / "a" / "test_b_x", 1)
    seed = write_classes(tmp_path / "a" / "train", 4, first_seed=seed)
    seed = write_classes(tmp_path / "ab" / "test_x", 1, first_seed=seed)
    write_classes(tmp_path / "ab" / "train", 4, first_seed=seed)
    labs = {"a": str(tmp_path / "a"), "a b": str(tmp_path / "ab")}
    with pytest.raises(DataError, match="test_a_b_x would hold images of a and a b"):
        build_manifest(labs_config(tmp_path, labs), seed=0)
    assert len(build_manifest(labs_config(tmp_path, {"a": labs["a"]}), seed=0)) == 25
