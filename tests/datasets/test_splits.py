import numpy as np
import pandas as pd
import pytest

from wbc.datasets.splits import make_splits, split_name
from wbc.errors import ConfigError, DataError

FRACTIONS = {"val_fraction": 0.15, "test_fraction": 0.15, "seed": 0}


def table(labels, groups="", splits="", hashes=None):
    """A manifest and its pixel hashes, every picture different unless `hashes` says otherwise."""
    frame = pd.DataFrame({"label": list(labels), "split": splits, "group": groups, "excluded": ""})
    unlike = [f"{row:x}" for row in range(len(frame))]
    frame["path"] = unlike
    return frame, pd.Series(unlike if hashes is None else hashes, index=frame.index)


def share(labels, splits, label, split):
    return float((splits[labels == label] == split).mean())


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("TRAIN", "train"),
        ("Training", "train"),
        ("val", "val"),
        ("Valid", "val"),
        ("validation", "val"),
        ("dev", "val"),
        ("Test", "test"),
        ("testing", "test"),
        ("TestA", "test_a"),
        ("test_b", "test_b"),
        ("Testing-2", "test_2"),
        ("Neutrophil", None),
        ("contest", None),
        ("", None),
    ],
)
def test_split_names(spelling, name):
    assert split_name(spelling) == name


def test_all_three_are_made_stratified():
    labels = np.repeat(["A", "B", "C"], [1000, 200, 20])
    frame, hashes = table(labels)
    splits = make_splits(frame, hashes, **FRACTIONS)
    for label in "ABC":
        assert share(labels, splits, label, "val") == pytest.approx(0.15, abs=0.005)
        assert share(labels, splits, label, "test") == pytest.approx(0.15, abs=0.005)
        assert share(labels, splits, label, "train") == pytest.approx(0.7, abs=0.005)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (["train"], {"val": 15, "test": 15}),
        (["train", "val"], {"test": 15}),
        (["train", "test"], {"val": 15}),
        (["train", "test_a", "test_b"], {"val": 15}),
        (["train", "val", "test_a"], {}),
    ],
)
def test_only_what_is_missing_is_taken_and_only_out_of_train(given, made):
    names = np.repeat(given, 100)
    frame, hashes = table(["A", "B"] * (len(names) // 2), splits=names)
    splits = make_splits(frame, hashes, **FRACTIONS)
    assert (splits[names != "train"] == names[names != "train"]).all()
    taken = splits[(names == "train") & (splits != "train")].value_counts().to_dict()
    assert taken == pytest.approx(made, abs=1)


def test_the_seed_decides():
    frame, hashes = table(["A", "B"] * 50)
    first, again = (make_splits(frame, hashes, **FRACTIONS) for _ in range(2))
    other = make_splits(frame, hashes, **(FRACTIONS | {"seed": 1}))
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize("groups_of", [10, 40])
@pytest.mark.parametrize("seed", range(3))
def test_groups_are_never_parted(groups_of, seed):
    labels = np.array(["A", "A", "A", "B"] * 200)
    groups = np.array([f"patient {row // groups_of}" for row in range(800)])
    frame, hashes = table(labels, groups=groups)
    splits = make_splits(frame, hashes, **(FRACTIONS | {"seed": seed}))
    assert (splits.groupby(groups).nunique() == 1).all()
    for label in "AB":
        for split in ("val", "test"):
            assert share(labels, splits, label, split) == pytest.approx(0.15, abs=0.05)


def test_copies_are_never_parted():
    """Sixty pictures in five copies each: by chance nearly all would be parted."""
    frame, hashes = table(
        np.repeat(["A", "B"], 150), hashes=[f"{row % 150 // 5} {row // 150}" for row in range(300)]
    )
    splits = make_splits(frame, hashes, **FRACTIONS)
    assert (splits.groupby(hashes).nunique() == 1).all()
    assert set(splits) == {"train", "val", "test"}


def test_groups_that_share_a_copy_stay_together():
    groups = [f"p{row // 5}" for row in range(200)]
    hashes = [f"h{row}" for row in range(200)]
    for row in range(0, 200, 10):  # the first of each even patient is the first of the next one
        hashes[row + 5] = hashes[row]
    frame, pictures = table(["A", "B"] * 100, groups=groups, hashes=hashes)
    splits = make_splits(frame, pictures, **FRACTIONS)
    assert (splits.groupby(np.arange(200) // 10).nunique() == 1).all()
    assert set(splits) == {"train", "val", "test"}


def test_a_group_and_a_picture_of_the_same_name_are_not_mixed_up():
    frame, hashes = table(
        ["A", "A", "B", "B"] * 5, groups=["1", ""] * 10, hashes=[f"{row}" for row in range(20)]
    )
    assert set(make_splits(frame, hashes, **FRACTIONS)) == {"train", "val", "test"}


@pytest.mark.parametrize("groups", ["", "by patient"])
def test_a_class_too_small_stays_in_train_and_is_named(groups, caplog):
    labels = np.array(["A"] * 60 + ["B"] * 60 + ["C"])
    grouped = [f"p{row // 4}" for row in range(121)] if groups else ""
    frame, hashes = table(labels, groups=grouped)
    splits = make_splits(frame, hashes, **FRACTIONS)
    assert splits[120] == "train"
    assert "C: too few to be shared out (images: 1" in caplog.text
    assert {split for split in splits[:120]} == {"train", "val", "test"}


def test_left_out_rows_are_not_shared_out():
    frame, hashes = table(["A", "B"] * 50)
    frame.loc[:9, "excluded"] = "unreadable"
    splits = make_splits(frame, hashes[10:], **FRACTIONS)
    assert (splits[:10] == "").all()
    assert (splits[10:] != "").all()


def test_no_test_set_when_none_is_wanted(caplog):
    frame, hashes = table(["A", "B"] * 50)
    splits = make_splits(frame, hashes, **(FRACTIONS | {"test_fraction": 0}))
    assert set(splits) == {"train", "val"}
    assert "nothing will be tested" in caplog.text


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"val_fraction": 0}, "data.val_fraction = 0 .* early stopping"),
        ({"val_fraction": -0.1}, "-0.1"),
        ({"val_fraction": 0.3, "test_fraction": 0.3}, "0.5 at most"),
    ],
)
def test_bad_fractions_are_refused(changes, complaint):
    frame, hashes = table(["A", "B"] * 50)
    with pytest.raises(ConfigError, match=complaint):
        make_splits(frame, hashes, **(FRACTIONS | changes))


@pytest.mark.parametrize(
    ("frame_of", "complaint"),
    [
        ({"labels": "ABAB", "splits": ["train", "train", "", "val"]}, "1 of 4 images have no split"),
        ({"labels": "AB", "splits": ["val", "test"]}, "no train"),
        ({"labels": "AB"}, "no test set can be taken out of 2 training images"),
        ({"labels": "AABB", "groups": "p1"}, "no test set .*groups: 1"),
        ({"labels": "ABAC", "groups": ["p1", "p1", "p2", "p2"]}, "no test set .*groups: 2"),
        ({"labels": "AB", "splits": ["train", "train"]}, "data.test_fraction=0"),
    ],
)
def test_tables_that_cannot_be_split_are_refused(frame_of, complaint):
    with pytest.raises(DataError, match=complaint):
        make_splits(*table(**frame_of), **FRACTIONS)
