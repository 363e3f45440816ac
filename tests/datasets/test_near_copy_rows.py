"""What becomes of near-copies in a run's table of images."""

import logging

import pandas as pd
import pytest

from tests.helpers.copies import cell, cropped, recompressed, resized
from tests.helpers.trees import data_config, write_image
from wbc.datasets.manifest import build_with_near_copies, image_counts
from wbc.datasets.near_copies import Pair
from wbc.datasets.near_copy_rows import near_copy_table
from wbc.labels import CLASSES


def write_cells(root, splits=("train", "val", "test"), each=2):
    seed = 0
    for split in splits:
        for label in CLASSES:
            for _ in range(each):
                write_image(root / split / label / f"{seed}.png", cell(seed))
                seed += 1


def built(root, seed=0, **changes):
    return build_with_near_copies(data_config(root, **changes), seed)


def test_of_two_splits_the_test_image_stays(tmp_path, caplog):
    """A resized copy of a test image trained, and the figures of the test flattered."""
    root = tmp_path / "cells"
    write_cells(root)
    write_image(root / "train" / "Basophil" / "of_test.jpg", resized(cell(20), 0.6))
    write_image(root / "train" / "Basophil" / "of_val.png", recompressed(cropped(cell(10))))
    write_image(root / "val" / "Eosinophil" / "of_test.png", cropped(cell(22)))
    rows, near = built(root)
    left_out = rows[rows["excluded"] != ""]
    reasons = left_out["excluded"].str.partition(" (likeness 0.9")[0]
    near_a = "near-copy of an image in"
    assert dict(zip(left_out["path"].str[len(str(root)) :], reasons, strict=True)) == {
        "/train/Basophil/of_test.jpg": f"{near_a} test: {root}/test/Basophil/20.png",
        "/train/Basophil/of_val.png": f"{near_a} val: {root}/val/Basophil/10.png",
        "/val/Eosinophil/of_test.png": f"{near_a} test: {root}/test/Eosinophil/22.png",
    }
    assert (near["done"].str.startswith("left out: /")).all()
    assert len(near) == 3
    assert "near-copies of an image of another split: 3 images (train 2, val 1)" in caplog.text
    assert image_counts(rows)["left_out"] == {
        "near-copy of an image in test": 2,
        "near-copy of an image in val": 1,
    }


@pytest.mark.parametrize("seed", range(3))
def test_no_split_parts_near_copies(tmp_path, seed, caplog):
    """By chance about half of eight pairs would be parted."""
    caplog.set_level(logging.INFO)
    root = tmp_path / "cells"
    for number in range(40):
        write_image(root / CLASSES[number % 5] / f"{number}.png", cell(number))
    for number in range(20):
        write_image(root / CLASSES[number % 5] / f"{number}_copy.png", resized(cell(number), 1.5))
    rows, near = built(root, seed, val_fraction=0.25, test_fraction=0.25)
    assert (rows["excluded"] == "").all()
    assert set(rows["split"]) == {"train", "val", "test"}
    number = rows["path"].str.extract(r"(\d+)(?:_copy)?\.png")[0]
    assert (rows["split"].groupby(number).nunique() == 1).all()
    assert (near["done"] == "kept in one split").all()
    assert "near-copies: 20 pairs of images show one photograph, 20 of them in one split" in caplog.text


def test_groups_that_share_a_near_copy_stay_together(tmp_path):
    """Raabin-WBC holds slides that were photographed twice, under two names."""
    root = tmp_path / "cells"
    for number in range(50):
        write_image(root / CLASSES[number % 5] / f"s{number // 5}_{number}.png", cell(number))
    write_image(root / CLASSES[0] / "s9_copy.png", resized(cell(0), 0.7))
    for seed in range(3):
        rows, _ = built(root, seed, group="^(s[0-9]+)_")
        split = rows.groupby("group")["split"].agg(set)
        assert split["s0"] == split["s9"]
        assert len(split["s0"]) == 1


def test_near_copies_with_two_labels_are_told(tmp_path, caplog):
    root = tmp_path / "cells"
    write_cells(root)
    write_image(root / "train" / "Monocyte" / "twin.png", resized(cell(0), 0.8))
    rows, near = built(root)
    assert (rows["excluded"] == "").all()
    assert near[["label", "copy_label"]].iloc[0].tolist() == ["Basophil", "Monocyte"]
    assert "1 pairs of near-copies have different labels, of which one is wrong; both are kept" in caplog.text
    assert "twin.png (Monocyte)" in caplog.text


def test_of_near_copies_with_two_labels_in_two_splits_one_is_left_out_and_said_to_be(tmp_path, caplog):
    """It was said that both are kept."""
    root = tmp_path / "cells"
    write_cells(root)
    write_image(root / "test" / "Monocyte" / "twin.png", resized(cell(0), 0.8))
    rows, _ = built(root)
    assert (rows["excluded"] != "").sum() == 1
    said = "1 pairs of near-copies have different labels, of which one is wrong; at least one is left out."
    assert said in caplog.text
    assert "both are kept" not in caplog.text


def test_unsure_pairs_across_splits_are_told_and_kept(caplog):
    frame = pd.DataFrame({"path": ["a", "b", "c", "d"], "label": "A", "excluded": ""})
    frame["split"] = ["train", "test", "train", "train"]
    pairs = [Pair("1", "2", 0.88), Pair("3", "4", 0.87), Pair("1", "3", 0.97)]
    table = near_copy_table(frame, pd.Series(["1", "2", "3", "4"]), pairs)
    assert table[["path", "copy", "done"]].to_numpy().tolist() == [
        ["a", "b", "to be looked at"],
        ["c", "d", "to be looked at"],
        ["a", "c", "kept in one split"],
    ]
    assert "1 pairs of images in different splits may be near-copies (likeness 0.85 to 0.92)" in caplog.text
