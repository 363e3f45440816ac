"""Patients and slides that folders or file names tell, so that no split parts them."""

import csv
import logging
import shlex

import pandas as pd
import pytest

from tests.helpers.configs import composed
from tests.helpers.places import DATA
from tests.helpers.printed import printed_word
from tests.helpers.trees import data_config, picture, write_image
from wbc.datasets.class_folders import scan_folder
from wbc.datasets.groups import group_of, warn_of_copies
from wbc.datasets.manifest import build_manifest
from wbc.datasets.splits import make_splits
from wbc.errors import ConfigError, DataError
from wbc.labels import CLASSES, ClassNames

NAMES = ClassNames(CLASSES)
SUBJECT = r"^(UID_\d+)_"


def write_named(root, names):
    """A different picture for each name below `root`."""
    for seed, name in enumerate(names):
        write_image(root / name, picture(seed))


def folders_of_patients():
    return [
        f"{label}/p{patient}/{day}/{n}.png"
        for label in CLASSES
        for patient in range(10)
        for day in "ab"
        for n in "12"
    ]


def names_of_subjects():
    return [
        f"{label}/UID_{patient}_{n}_1_all.bmp" for label in CLASSES for patient in range(10) for n in "12"
    ]


@pytest.mark.parametrize(
    ("names", "how"),
    [(folders_of_patients(), "folder"), (names_of_subjects(), SUBJECT)],
    ids=["folder", "pattern"],
)
def test_no_group_is_divided_between_splits(tmp_path, names, how, caplog):
    caplog.set_level(logging.INFO)
    write_named(tmp_path / "cells", names)
    frame = build_manifest(data_config(tmp_path / "cells", group=how), seed=0)
    assert set(frame["split"]) == {"train", "val", "test"}
    assert set(frame["group"]) == {f"{'p' if how == 'folder' else 'UID_'}{number}" for number in range(10)}
    assert (frame.groupby("group")["split"].nunique() == 1).all()
    assert f"groups: 10, of {len(names)} images" in caplog.text
    assert "begin as others do" not in caplog.text


def test_the_folder_below_the_one_that_says_the_class_is_the_group():
    assert group_of("/x/Neutrophil/p1/day 2/a.png", "/x/Neutrophil", "folder") == "p1"
    assert group_of("/x/Neutrophil/a.png", "/x/Neutrophil", "folder") == ""
    assert group_of("/x/Neutrophil/p1/b7_a.png", "/x/Neutrophil", "^(?:b(\\d))?") == "7"
    assert group_of("/x/Neutrophil/p1/a.png", "/x/Neutrophil", "^(?:b(\\d))?") == ""
    assert group_of("/x/Neutrophil/p1/a.png", "/x/Neutrophil", None) == ""


def test_in_a_class_folder_inside_anothers_groups_lie_below_the_inner_one(tmp_path):
    write_named(tmp_path, ["Lymphocyte/p1/a.png", "Lymphocyte/Monocyte/p2/b.png"])
    assert [image.group for image in scan_folder(str(tmp_path), NAMES, None, "folder")] == ["p2", "p1"]


def test_images_without_a_group_are_counted_and_stand_for_themselves(tmp_path, caplog):
    write_named(tmp_path / "cells", [*names_of_subjects(), "Basophil/odd.png", "Basophil/other.png"])
    frame = build_manifest(data_config(tmp_path / "cells", group=SUBJECT), seed=0)
    assert (frame["group"] == "").sum() == 2
    assert (
        f"tells no group of 2 of 102 images, which stand each for itself: e.g. {tmp_path}/cells"
        in caplog.text
    )


@pytest.mark.parametrize("how", ["folder", "^(nothing)"])
def test_a_way_that_tells_no_group_at_all_is_refused(tmp_path, how):
    write_named(tmp_path, ["Basophil/1.png", "Monocyte/2.png"])
    with pytest.raises(DataError, match=r"no image: e\.g\. .*Basophil/1\.png") as error:
        scan_folder(str(tmp_path), NAMES, None, how)
    assert "data.group=null" in str(error.value)
    assert len(scan_folder(str(tmp_path), NAMES, None, None)) == 2


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("'data.group=\"^(UID\"'", "no regular expression"),
        ("'data.group=\"^UID_[0-9]+\"'", "0 groups in brackets"),
        ("'data.group=\"^(UID)_([0-9]+)\"'", "2 groups in brackets"),
        ("data.group=patient", "0 groups in brackets"),
    ],
)
def test_a_pattern_that_can_tell_none_is_refused_as_a_setting(word, complaint):
    with pytest.raises(ConfigError, match=complaint) as error:
        composed("data=folder", "data.root=x", *shlex.split(word))
    mend = printed_word(str(error.value).partition("expected")[2], "data.group")
    assert composed("data=folder", "data.root=x", mend).data.group == "^([^_]+)_"


def test_a_table_tells_groups_by_its_column():
    with pytest.raises(ConfigError, match=r"column group: set data\.group=null"):
        composed("data=manifest", "data.root=x", "data.group=folder")
    assert composed("data=manifest", "data.root=x", "data.group=null").data.group is None


def test_groups_of_labs_that_are_folders(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_named(tmp_path / "ours", names_of_subjects())
    rows = [
        f"ours/{name},{name.partition('/')[0]},s{number % 10}"
        for number, name in enumerate(names_of_subjects())
    ]
    write_named(tmp_path / "theirs", names_of_subjects())
    table = tmp_path / "theirs.csv"
    table.write_text("\n".join(["path,label,group", *(row.replace("ours/", "theirs/") for row in rows)]))
    labs = {"ours": "ours", "theirs": "theirs.csv"}
    frame = build_manifest(data_config(tmp_path, source="labs", labs=labs, group=SUBJECT), seed=0)
    assert {group.partition("_")[0] for group in frame["group"] if group.startswith("ours")} == {"ours/UID"}
    assert {group[:8] for group in frame["group"] if group.startswith("theirs")} == {"theirs/s"}
    assert "theirs is a table: its column group counts, not data.group" in caplog.text


# --- copies by name

ROBOFLOW = [f"BloodImage_{cell:05}_jpg.rf.{cell:04x}{copy}ab.jpg" for cell in range(20) for copy in range(3)]
KERAS = [f"_{cell}_{7919 * (cell + copy * 20) % 10000}.jpeg" for cell in range(20) for copy in range(3)]
AUGMENTOR = [
    f"EOS_original_cell{cell}.png_{cell:08x}-0000-4000-8000-{copy:012x}.png"
    for cell in range(20)
    for copy in range(3)
]
TURNED = [f"cell_{cell}{word}.png" for cell in range(20) for word in ("", "_rot90", "-aug2")]


@pytest.mark.parametrize(
    "names", [ROBOFLOW, KERAS, AUGMENTOR, TURNED], ids=["roboflow", "keras", "augmentor", "turned"]
)
def test_of_names_as_copies_have_the_pattern_that_keeps_them_together_is_told(tmp_path, names, caplog):
    kinds = ["Basophil", "Monocyte"]
    named = [f"{kinds[number // 3 % 2]}/{name}" for number, name in enumerate(names)]
    write_named(tmp_path / "cells", named)
    own = data_config(tmp_path / "cells", classes=kinds)
    parted = build_manifest(own, seed=0)
    assert "60 of 60 file names begin as others do" in caplog.text
    word = printed_word(caplog.text, "data.group")
    cell = {f"{tmp_path}/cells/{name}": number // 3 for number, name in enumerate(named)}
    assert parted["split"].groupby(parted["path"].map(cell)).nunique().max() > 1
    caplog.clear()
    pattern = composed("data=folder", "data.root=x", word).data.group
    frame = build_manifest(data_config(tmp_path / "cells", classes=kinds, group=pattern), seed=0)
    assert frame["split"].groupby(frame["path"].map(cell)).nunique().max() == 1
    assert set(frame["split"]) == {"train", "val", "test"}
    assert frame["group"].nunique() == 20
    assert "begin as others do" not in caplog.text


@pytest.mark.parametrize(
    "names",
    [
        [f"{label}/{number:03}.png" for label in CLASSES for number in range(40)],  # numbered in each folder
        [f"{label}/{number}_1.png" for label in CLASSES for number in range(40)],
        [f"BA_{number}.jpg" for number in range(400)],
        [f"cell_{number}_jpg.rf.{number:032x}.jpg" for number in range(40)],  # Roboflow, without copies
        [f"20190527_{113000 + number}_0.jpg" for number in range(400)],
        [f"augsburg_{number}.jpg" for number in range(40)],
        [f"slide_1_{number}.jpg" for number in range(40)],  # one beginning: no split could be made
    ],
    ids=lambda names: names[-1],
)
def test_other_names_are_not_taken_for_copies(names, caplog):
    warn_of_copies(names)
    assert caplog.text == ""


# --- Raabin-WBC, whose files are named by slide


def raabin(root, *words):
    """The settings of `python train.py data=raabin data.root=<root>`."""
    return composed("data=raabin", f"data.root={root}", f"data.checks_dir={root}/cache", *words).data


def slides_of_raabin():
    """Names of the kinds that the published set has, of four days and six slides."""
    days = [f"Basophil/2019052{day}_16{minute}01_0.jpg" for day in range(6, 10) for minute in range(10, 14)]
    slides = [
        f"{label}/95-{slide}-1_{n}_1.jpg"
        for label in CLASSES[1:]
        for slide in ("5-10", "8-1", "8-12", "8-27", "9-4", "7-24")
        for n in range(3)
    ]
    return days + slides


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (["Train", "TestA", "TestB"], {"train", "val", "test_a", "test_b"}),
        (["train", "Test-A", "TestB"], {"train", "val", "test_a", "test_b"}),
        (["TRAIN", "test-a", "test_b"], {"train", "val", "test_a", "test_b"}),
        (["Raabin-WBC Data/Train", "Raabin-WBC Data/Test A"], {"train", "val", "test_a"}),
        (["Train"], {"train", "val", "test"}),
    ],
)
def test_raabin_loads_however_its_folders_are_spelt(tmp_path, folders, splits):
    """TestA and TestB had to be there, in these words."""
    names = [name for name in slides_of_raabin() if name[-6] != "0" or "Bas" in name]
    write_named(tmp_path, [f"{folder}/{name}" for folder in folders for name in names])
    frame = build_manifest(raabin(tmp_path), seed=0)
    assert set(frame["split"]) == splits
    shared_out = frame[frame["path"].str.contains("train/", case=False)]
    assert shared_out["group"].nunique() == 10
    assert (shared_out.groupby("group")["split"].nunique() == 1).all()
    assert set(frame["label"][frame["split"] == "val"]) == set(CLASSES)


@pytest.mark.skipif(
    not (DATA / "raabin" / "train").is_dir(), reason=f"no real cells: {DATA}/raabin is absent"
)
@pytest.mark.parametrize("seed", range(5))
def test_validation_of_raabin_is_of_other_slides(seed, caplog):
    """smears.csv has the slides as they were told independently; every basophil is of one of four."""
    with (DATA / "raabin" / "smears.csv").open() as lines:
        slides = {str(DATA / "raabin" / row["path"]): row["group"] for row in csv.DictReader(lines)}
    data = raabin(DATA / "raabin")
    found = scan_folder(data.root, NAMES, data.split_folders, data.group)
    assert {image.path: image.group for image in found} == slides
    assert "tells no group" not in caplog.text
    frame = pd.DataFrame(found).assign(excluded="")
    splits = make_splits(frame, frame["path"], val_fraction=0.15, test_fraction=0.15, seed=seed)
    assert (splits.groupby(frame["group"]).nunique() == 1).all()
    shares = pd.crosstab(frame["label"], splits, normalize="index")
    assert shares.loc["Basophil", ["test", "val"]].tolist() == pytest.approx([0.1, 0.23], abs=0.02)
    assert shares.drop("Basophil")[["test", "val"]].to_numpy() == pytest.approx(0.15, abs=0.03)
    warn_of_copies(list(slides))
    assert "begin as others do" not in caplog.text
