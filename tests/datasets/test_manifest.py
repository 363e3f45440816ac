import logging
import os
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.places import DATA
from tests.helpers.trees import data_config, picture, write_classes, write_image, write_splits
from wbc.datasets.class_folders import scan_folder
from wbc.datasets.manifest import COLUMNS, build_manifest, read_csv, read_manifest, write_manifest
from wbc.errors import ConfigError, DataError
from wbc.labels import CLASSES, ClassNames

NAMES = ClassNames(CLASSES)


def counts(frame):
    return frame.groupby("split").size().to_dict()


# --- folders


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        ([""], {""}),
        (["train", "val", "test"], {"train", "val", "test"}),
        (["Training", "VALIDATION", "Testing"], {"train", "val", "test"}),
        (["TRAIN", "dev"], {"train", "val"}),
        (["Train", "TestA", "TestB"], {"train", "test_a", "test_b"}),
        (["train", "test-1", "test_2"], {"train", "test_1", "test_2"}),
    ],
)
def test_usual_folders(tmp_path, folders, splits):
    for number, folder in enumerate(folders):
        write_classes(tmp_path / folder, 2, first_seed=10 * number)
    found = scan_folder(str(tmp_path), NAMES, None)
    assert len(found) == 10 * len(folders)
    assert {image.split for image in found} == splits
    assert {image.label for image in found} == set(CLASSES)
    assert found == sorted(found)


def test_spelling_depth_and_suffixes_of_class_folders(tmp_path):
    for name in ("neutrophils/a.JPG", "NEU/b.Tiff", "SNE/slide 7/c.bmp", "Monocyte/deep/er/d.jpeg"):
        write_image(tmp_path / name, picture(0))
    labels = {Path(image.path).name[0]: image.label for image in scan_folder(str(tmp_path), NAMES, None)}
    assert labels == {"a": "Neutrophil", "b": "Neutrophil", "c": "Neutrophil", "d": "Monocyte"}


@pytest.mark.parametrize("spelling", ["Train", "train"])
def test_named_split_folders(tmp_path, spelling, caplog):
    for number, folder in enumerate([spelling, "TestA", "old"]):
        write_classes(tmp_path / folder, 1, first_seed=10 * number)
    found = scan_folder(str(tmp_path), NAMES, {"Train": "train", "TestA": "test_a"})
    assert {image.split for image in found} == {"train", "test_a"}
    assert "old passed over" in caplog.text


def test_a_test_set_may_lack_classes(tmp_path):
    write_classes(tmp_path / "train", 4)
    write_classes(tmp_path / "val", 1, first_seed=20)
    write_classes(tmp_path / "TestB", 1, ["Neutrophil"], first_seed=30)
    (tmp_path / "TestB" / "Basophil").mkdir()
    frame = build_manifest(data_config(tmp_path), seed=0)
    assert counts(frame) == {"train": 20, "val": 5, "test_b": 1}


def test_what_is_passed_over_is_counted_and_named(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_classes(tmp_path, 1)
    for name in ("Basophil/.DS_Store", "Basophil/._000.png", "Basophil/notes.txt", ".cache/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    write_image(tmp_path / "loose.png", picture(0))
    assert len(scan_folder(str(tmp_path), NAMES, None)) == 5
    assert "3 passed over (hidden)" in caplog.text
    assert f"1 passed over (not an image by suffix): {tmp_path}/Basophil/notes.txt" in caplog.text
    assert f"1 passed over (images outside a class folder): {tmp_path}/loose.png" in caplog.text


def test_linked_folders_are_followed_once(tmp_path):
    write_classes(tmp_path / "store", 1)
    (tmp_path / "cells").mkdir()
    for name in CLASSES:
        (tmp_path / "cells" / name).symlink_to(tmp_path / "store" / name)
    (tmp_path / "store" / "Basophil" / "loop").symlink_to(tmp_path / "store" / "Basophil")
    write_image(tmp_path / "elsewhere" / "x.png", picture(9))
    (tmp_path / "store" / "Monocyte" / "more").symlink_to(tmp_path / "elsewhere")
    assert len(scan_folder(str(tmp_path / "cells"), NAMES, None)) == 6


def _no_root(root):
    pass


def _empty(root):
    (root / "Basophil").mkdir(parents=True)


def _file(root):
    root.write_text("")


def _unknown_class(root):
    write_classes(root, 1, [*CLASSES, "platelet"])


def _unknown_beside_splits(root):
    write_classes(root / "train", 1)
    write_classes(root / "rest", 1)


def _both_readings(root):
    write_classes(root / "train", 1)
    write_classes(root, 1)


def _twice_val(root):
    for name in ("train", "val", "Validation"):
        write_classes(root / name, 1)


@pytest.mark.parametrize(
    ("write", "split_folders", "parts"),
    [
        (_no_root, None, ["does not exist", "raabindata.com", "data=synthetic"]),
        (_empty, None, ["no images under", "raabindata.com", "Train/<class>", "data=synthetic"]),
        (_file, None, ["is a file", "data=manifest"]),
        (_unknown_class, None, ["'platelet'", "Basophil", "data.aliases", "data.classes"]),
        (_unknown_beside_splits, None, ["rest", "data.split_folders"]),
        (_both_readings, None, ["two ways", "train", "Basophil"]),
        (_twice_val, None, ["Validation, val", "data.split_folders"]),
        (
            _twice_val,
            {"train": "train", "TestA": "test_a"},
            ["TestA (test_a)", "Name the folders that it holds"],
        ),
        (_empty, {"Train": "train", "TestA": "test"}, ["Train (train), TestA (test)", "data=synthetic"]),
        (_twice_val, {"train": "training data"}, ["'training data'", "train, val"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bad_folders_are_refused(tmp_path, write, split_folders, parts):
    root = tmp_path / "cells"
    write(root)
    with pytest.raises(DataError) as caught:
        scan_folder(str(root), NAMES, split_folders)
    for part in parts:
        assert part in str(caught.value)


# --- tables


def write_table(folder, text, images=("a.png", "b.png")):
    for number, name in enumerate(images):
        write_image(folder / name, picture(number))
    (folder / "cells.csv").write_text(text, encoding="utf-8-sig")
    return folder / "cells.csv"


def test_a_table_of_all_columns(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    file = write_table(
        tmp_path,
        "label,path,mask,split,group,source,excluded\n"
        "NEU,a.png,m.png,Training,007,lab 1,\n"
        f"mono,{tmp_path}/b.png,m.png,TestA,NA,,blurred\n",
    )
    frame = read_csv(file, NAMES, "here")
    assert frame.to_dict("records") == [
        dict(zip(COLUMNS, [f"{tmp_path}/a.png", "Neutrophil", "train", "007", "lab 1", "", ""], strict=True)),
        dict(
            zip(
                COLUMNS, [f"{tmp_path}/b.png", "Monocyte", "test_a", "NA", "here", "blurred", ""], strict=True
            )
        ),
    ]
    assert "columns not used: mask" in caplog.text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,label\na.png,NEU\n", "lacks the columns path; its header is 'file, label'"),
        ("path|label\na.png|NEU\n", "separated by commas, semicolons or tabs"),
        ("path,label\n", "has no rows"),
        ("", "cells.csv is empty"),
        ("path,label\na.png,NEU\n,NEU\n", "line 3: no path"),
        ("path,label\na.png,NEU\n./a.png,NEU\n", "1 paths occur more than once, e.g. .*a.png"),
        (
            "path,label\na.png,NEU\nb.png,blast\n",
            "line 3 and maybe more: 'blast': not among the known",
        ),
        ("path,label,split\na.png,NEU,train\nb.png,NEU,fold 3\n", "line 3: split 'fold 3'"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, complaint):
    with pytest.raises(DataError, match=complaint):
        read_csv(write_table(tmp_path, text), NAMES, "here")


@pytest.mark.parametrize(("name", "complaint"), [("no.csv", "does not exist"), (".", "data=folder")])
def test_a_missing_table_is_refused(tmp_path, name, complaint):
    with pytest.raises(DataError, match=complaint):
        read_csv(tmp_path / name, NAMES, "here")


# --- the whole


def test_a_manifest_is_written_and_read_unchanged_and_can_be_used_again(tmp_path):
    write_splits(tmp_path / "cells", train=4, val=1, test=1)
    write_image(tmp_path / "cells" / "train" / "Basophil" / "copy, of test.png", picture(25))
    frame = build_manifest(data_config(tmp_path / "cells"), seed=0)
    assert list(frame.columns) == COLUMNS
    assert (frame["excluded"] != "").sum() == 1
    file = tmp_path / "run" / "manifest.csv"
    write_manifest(frame, file)
    assert os.listdir(file.parent) == ["manifest.csv"]
    pd.testing.assert_frame_equal(read_manifest(file), frame.reset_index(drop=True), check_dtype=False)
    again = build_manifest(data_config(file, source="manifest"), seed=1)
    pd.testing.assert_frame_equal(again, frame, check_dtype=False)


def test_a_foreign_table_is_no_manifest(tmp_path):
    (tmp_path / "manifest.csv").write_text("path,label\n")
    with pytest.raises(DataError, match="lacks the columns split, group, source, excluded, identical_to"):
        read_manifest(tmp_path / "manifest.csv")


def test_the_same_seed_makes_the_same_manifest(tmp_path):
    write_classes(tmp_path / "cells", 20)
    first, again, other = (build_manifest(data_config(tmp_path / "cells"), seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert counts(first) == counts(other) == {"train": 70, "val": 15, "test": 15}
    assert not first["split"].equals(other["split"])


def test_copies_are_left_out_as_the_splits_demand(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    root = tmp_path / "cells"
    write_splits(root, train=4, val=2, TestA=1, TestB=1)
    copies = {  # all of one label, so only the split matters
        101: ["train/Basophil/x1.png", "val/Basophil/x2.png"],
        102: ["train/Basophil/y1.png", "val/Basophil/y2.png", "TestA/Basophil/y3.png"],
        103: ["TestA/Basophil/z1.png", "TestB/Basophil/z2.png"],
        104: ["train/Basophil/w1.png", "train/BA/w2.tif"],
    }
    for seed, names in copies.items():
        for name in names:
            write_image(root / name, picture(seed))
    frame = build_manifest(data_config(root), seed=0)
    left_out = frame[frame["excluded"] != ""].set_index("path")["excluded"]
    assert left_out.to_dict() == {
        f"{root}/train/Basophil/x1.png": f"identical to an image in val: {root}/val/Basophil/x2.png",
        f"{root}/train/Basophil/y1.png": f"identical to an image in test_a: {root}/TestA/Basophil/y3.png",
        f"{root}/val/Basophil/y2.png": f"identical to an image in test_a: {root}/TestA/Basophil/y3.png",
    }
    assert "identical to an image of another split: 3 images (train 2, val 1)" in caplog.text
    twins = frame.set_index("path")["identical_to"]
    assert twins[f"{root}/val/Basophil/x2.png"] == f"{root}/train/Basophil/x1.png"
    assert twins[f"{root}/train/Basophil/x1.png"] == f"{root}/val/Basophil/x2.png"
    assert (twins != "").sum() == sum(len(names) for names in copies.values())
    assert "kept: 1 images that repeat another one" in caplog.text


def test_a_picture_with_two_labels_is_left_out_wherever_it_is(tmp_path, caplog):
    root = tmp_path / "cells"
    write_splits(root, train=3, val=1, test=1)
    for name in ("train/Basophil/x.png", "train/Monocyte/x.bmp", "test/Basophil/x.png"):
        write_image(root / name, picture(101))
    frame = build_manifest(data_config(root), seed=0)
    left_out = frame[frame["excluded"] != ""].set_index("path")["excluded"]
    assert set(left_out.index) == {
        f"{root}/train/Basophil/x.png",
        f"{root}/train/Monocyte/x.bmp",
        f"{root}/test/Basophil/x.png",
    }
    reason = left_out[f"{root}/train/Monocyte/x.bmp"]
    assert reason == f"identical image labelled Basophil and Monocyte: {root}/test/Basophil/x.png"
    assert "different labels: 3 images of 1 pictures" in caplog.text


def test_a_class_without_training_image_is_refused(tmp_path):
    root = tmp_path / "cells"
    write_splits(root, train=2, val=1, test=1)
    for file in (root / "train" / "Monocyte").iterdir():
        file.unlink()
    write_image(root / "train" / "Monocyte" / "copy.png", picture(18))  # the test monocyte, so left out
    with pytest.raises(
        DataError, match=r"no training image of Monocyte \(1 images .* left out\).*data.classes"
    ):
        build_manifest(data_config(root), seed=0)


def test_groups_over_several_splits_are_named_and_kept(tmp_path, caplog):
    write_splits(tmp_path, train=2, val=1, test=1)
    rows = ["path,label,split,group"]
    for file in sorted(tmp_path.rglob("*.png")):
        split, label, _ = file.relative_to(tmp_path).parts
        rows.append(f"{file},{label},{split},{'patient 7' if label == 'Basophil' else split}")
    (tmp_path / "cells.csv").write_text("\n".join(rows))
    frame = build_manifest(data_config(tmp_path / "cells.csv", source="manifest"), seed=0)
    assert (frame["excluded"] == "").all()
    assert "1 of 4 groups have images in several splits" in caplog.text
    assert "patient 7 (test, train, val)" in caplog.text


def test_synthetic_images_must_have_been_written_before(tmp_path):
    with pytest.raises(ConfigError, match="'synthetic'"):
        build_manifest(data_config(tmp_path, source="synthetic"), seed=0)


def test_a_name_in_another_encoding_is_refused(tmp_path):
    write_classes(tmp_path / "cells", 1)
    os.rename(tmp_path / "cells/Basophil/000.png", os.fsencode(tmp_path / "cells/Basophil") + b"/\xe4.png")
    with pytest.raises(DataError, match="not UTF-8"):
        build_manifest(data_config(tmp_path / "cells"), seed=0)


@pytest.mark.skipif(not (DATA / "pbc" / "val").is_dir(), reason=f"no real cells: {DATA}/pbc is absent")
def test_real_cells(tmp_path, caplog):
    """The val fold of the Barcelona set, beside the two copies of a basophil that its train fold holds."""
    caplog.set_level(logging.INFO)
    rows = ["path,label"]
    rows += [f"{file},{file.parent.name}" for file in sorted((DATA / "pbc" / "val").glob("*/*_1*.jpg"))]
    twins = [str(DATA / "pbc" / "train" / "Basophil" / name) for name in ("BA_20201.jpg", "BA_809918.jpg")]
    rows += [f"{twin},BA" for twin in twins]
    (tmp_path / "cells.csv").write_text("\n".join(rows))
    config = data_config(tmp_path / "cells.csv", source="manifest")
    frame = build_manifest(config, seed=0).set_index("path")
    assert len(frame) == len(rows) - 1 > 100
    assert (frame["excluded"] == "").all()
    assert frame["split"][twins[0]] == frame["split"][twins[1]]
    assert "kept: 1 images that repeat another one" in caplog.text


def test_cells_of_other_kinds_are_left_out_by_name(tmp_path, caplog):
    """The Barcelona set as it is downloaded holds eight folders; nothing left one out."""
    write_splits(tmp_path / "all", train=4, val=2, test=2)
    for split in ("train", "val", "test"):
        for other in ("Erythroblast", "immature granulocytes"):
            write_image(tmp_path / "all" / split / other / "1.png", picture(1, 8))
    with pytest.raises(DataError) as caught:
        build_manifest(data_config(tmp_path / "all"), seed=0)
    mend = re.search(r"data\.ignore=\[(.*?)\]", str(caught.value))
    assert mend is not None
    manifest = build_manifest(data_config(tmp_path / "all", ignore=mend[1].split(",")), seed=0)
    assert set(manifest["label"]) == set(CLASSES)
    assert "3 passed over (images of Erythroblast, by data.ignore)" in caplog.text
    table = tmp_path / "cells.csv"
    rows = manifest[["path", "label"]]
    other = pd.DataFrame({"path": ["one.png", "gone.png"], "label": "erythro-blast"})
    pd.concat([rows, other]).to_csv(table, index=False)
    given = {"source": "manifest", "root": str(table)}
    with pytest.raises(DataError, match="erythro-blast"):
        build_manifest(replace(data_config(tmp_path), **given), seed=0)
    read = build_manifest(replace(data_config(tmp_path, ignore=["Erythroblast"]), **given), seed=0)
    assert len(read) == len(rows)
    assert "2 rows left out by data.ignore (erythro-blast 2)" in caplog.text
    other.to_csv(table, index=False)
    with pytest.raises(DataError, match=r"data\.ignore leaves every row out \(erythro-blast 2\)"):
        build_manifest(replace(data_config(tmp_path, ignore=["Erythroblast"]), **given), seed=0)
    with pytest.raises(ConfigError, match=r"data\.ignore: 'neutrophils' spells the class Neutrophil"):
        build_manifest(data_config(tmp_path / "all", ignore=["neutrophils"]), seed=0)
