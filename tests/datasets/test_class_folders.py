"""Class folders as people have them: wrapped, in folds, one inside another's."""

import logging
import os

import pytest

from tests.helpers.commands import typed
from tests.helpers.configs import composed
from tests.helpers.printed import printed_word
from tests.helpers.small_runs import SMALL
from tests.helpers.trees import data_config, picture, write_classes, write_image, write_splits
from wbc.datasets.class_folders import scan_folder
from wbc.datasets.find_images import find_images
from wbc.datasets.manifest import build_manifest
from wbc.errors import DataError
from wbc.labels import CLASSES, ClassNames, names_of_model

NAMES = ClassNames(CLASSES)


def scanned(root, names=NAMES, split_folders=None, **more):
    return scan_folder(str(root), names, split_folders, **more)


def refused(root, names=NAMES, split_folders=None, **more):
    with pytest.raises(DataError) as error:
        scanned(root, names, split_folders, **more)
    return str(error.value)


def as_typed(root, *words: str):
    """The settings of `data` that train.py makes of words, for an image list in this process."""
    return composed("data=folder", f'data.root="{root}"', *words, f'data.checks_dir="{root}"').data


# --- one class inside another's


def write_nested(root):
    seed = write_classes(root, 2)
    for name in (
        "Lymphocyte/Monocyte",
        "Neutrophil/Segmented",
        "Neutrophil/Band Neutrophil",
        "Basophil/Day 1/eo",
    ):
        write_image(root / name / "x.png", picture(seed))
        seed += 1
    for number in range(2):
        write_image(root / "Neutrophil" / "Erythroblast" / "deep" / f"{number}.png", picture(seed + number))


def test_a_folder_of_one_class_in_anothers_says_what_it_shows_for_every_verb(tmp_path, caplog):
    """Train took the outer folder, evaluate and explain the inner one."""
    write_nested(tmp_path / "cells")
    trained = {image.path: image.label for image in scanned(tmp_path / "cells")}
    warned = caplog.text
    caplog.clear()
    measured = find_images(str(tmp_path / "cells"), NAMES, tmp_path / "model.ckpt")
    assert dict(zip(measured["path"], measured["label"], strict=True)) == trained
    for text in (warned, caplog.text):
        assert "2 images lie in a folder of one class inside another's" in text
        assert f"1 in {tmp_path}/cells/Lymphocyte/Monocyte are Monocyte, not Lymphocyte" in text
        assert f"1 in {tmp_path}/cells/Basophil/Day 1/eo are Eosinophil, not Basophil" in text
        assert "Band" not in text
    labels = {os.path.relpath(path, tmp_path / "cells"): label for path, label in trained.items()}
    assert labels["Lymphocyte/Monocyte/x.png"] == "Monocyte"
    assert labels["Neutrophil/Segmented/x.png"] == labels["Neutrophil/Band Neutrophil/x.png"] == "Neutrophil"
    assert labels["Neutrophil/Erythroblast/deep/0.png"] == "Neutrophil"  # nobody said that it is another cell


def test_ignored_names_count_inside_a_class_folder_for_every_verb(tmp_path, caplog):
    write_nested(tmp_path / "cells")
    trained = scanned(tmp_path / "cells", ClassNames(CLASSES, ignored=["erythroblast"]))
    assert "2 passed over (images of Erythroblast, by data.ignore)" in caplog.text
    of_model = names_of_model(CLASSES, {"config": {"data": {"ignore": ["erythroblast"]}}})
    measured = find_images(str(tmp_path / "cells"), of_model, tmp_path / "model.ckpt")
    assert "2 passed over (images of Erythroblast, by data.ignore of the model's training)" in caplog.text
    assert set(measured["path"]) == {image.path for image in trained}
    assert len(trained) == 14
    # A class folder in an ignored one is left out with it.
    write_image(tmp_path / "cells" / "Erythroblast" / "Monocyte" / "y.png", picture(50))
    assert len(scanned(tmp_path / "cells", ClassNames(CLASSES, ignored=["erythroblast"]))) == 14


def test_ignored_cells_are_given_by_their_own_folder(tmp_path):
    write_image(tmp_path / "others" / "platelet" / "1.png", picture(0))
    names = names_of_model(CLASSES, {"config": {"data": {"ignore": ["platelet"]}}})
    with pytest.raises(
        DataError, match=r"all 1 images lie in folders that data\.ignore.*give that folder itself"
    ):
        find_images(str(tmp_path / "others"), names, tmp_path / "model.ckpt")
    assert len(find_images(str(tmp_path / "others" / "platelet"), names, tmp_path / "model.ckpt")) == 1


# --- further in


@pytest.mark.parametrize("wrapped", ["dataset", "Raabin/Raabin", "a b/c/d"])
@pytest.mark.parametrize("split_folders", [None, {"Train": "train", "Val": "val", "Test": "test"}])
def test_what_is_unpacked_a_folder_too_deep_is_found(tmp_path, caplog, wrapped, split_folders):
    caplog.set_level(logging.INFO)
    write_splits(tmp_path / "cells" / wrapped, Train=1, Val=1, Test=1)
    if split_folders is None:
        (tmp_path / "cells" / "docs").mkdir()
    (tmp_path / "cells" / "readme.txt").write_text("")
    found = scanned(tmp_path / "cells", split_folders=split_folders)
    assert {image.split for image in found} == {"train", "val", "test"}
    assert len(found) == 15
    assert f"{tmp_path}/cells: its class folders lie further in, in {tmp_path}/cells/{wrapped}" in caplog.text
    assert "readme.txt" in caplog.text
    assert split_folders is not None or "docs passed over, without an image" in caplog.text


def test_plain_class_folders_and_splits_that_are_wrapped_once_more(tmp_path):
    write_classes(tmp_path / "plain" / "cells" / "dataset", 1)
    assert {image.split for image in scanned(tmp_path / "plain")} == {""}
    write_classes(tmp_path / "twice" / "Train" / "Train", 1)
    write_classes(tmp_path / "twice" / "TestA" / "images", 1, first_seed=10)
    for given in (None, {"Train": "train", "TestA": "test_a"}):
        found = scanned(tmp_path / "twice", split_folders=given)
        assert {image.split for image in found} == {"train", "test_a"}


def test_what_a_browser_adds_to_a_name_is_no_other_split(tmp_path):
    """The mend lost both tests."""
    write_splits(tmp_path / "cells", **{"Train": 1, "TestA (1)": 1, "TestB-20260102T030405Z-001 (2)": 1})
    assert {image.split for image in scanned(tmp_path / "cells")} == {"train", "test_a", "test_b"}
    write_classes(tmp_path / "cells" / "Prüfung", 1)
    with pytest.raises(
        DataError, match="Prüfung, which names no split; rename it to what it is for, train, val"
    ):
        scanned(tmp_path / "cells")
    (tmp_path / "cells" / "Prüfung").rename(tmp_path / "cells" / "test_c")
    assert "test_c" in {image.split for image in scanned(tmp_path / "cells")}


def test_an_archive_that_was_not_unpacked_is_named(tmp_path):
    (tmp_path / "Train.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"no images under .*Train\.zip is packed: unpack it there first"):
        scanned(tmp_path)


def test_images_beside_what_lies_further_in_are_not_lost(tmp_path, caplog):
    root = tmp_path / "my cells"
    write_classes(root / "dataset", 20)
    write_image(root / "rest & more" / "x.png", picture(200))
    write_image(root / "loose.png", picture(201))
    said = refused(root)
    assert f"{root}/rest & more/x.png" in said
    frame = build_manifest(as_typed(root, printed_word(said, "data.ignore")), seed=0)
    assert len(frame) == 100
    assert "1 passed over (images of rest & more, by data.ignore)" in caplog.text
    assert "1 passed over (images outside a class folder)" in caplog.text


@pytest.mark.parametrize(
    "folds",
    [
        ["fold_0", "fold_1"],
        ["fold_0", "fold_1", "fold_2"],
        ["fold 1 (old)", "fold=2", "a,b", "[x]: y", "{z}", "01"],
        ["1", "2"],
        ["training_data/fold_0", "training_data/fold_1", "more/deep/fold_2"],
        [f"patient {number}" for number in range(9)],
    ],
)
def test_folders_of_which_none_names_a_split_are_named_as_typed(tmp_path, folds):
    root = tmp_path / "cells"
    for number, fold in enumerate(folds):
        write_classes(root / fold, 2, first_seed=10 * number)
    said = refused(root)
    assert "aliases" not in said
    frame = build_manifest(as_typed(root, printed_word(said, "data.split_folders")), seed=0)
    assert set(frame["split"]) == {"train", "val", "test"}
    assert len(frame) == 10 * min(len(folds), 6)
    alone = composed("data=folder", printed_word(said, "data.root")).data.root
    assert {image.path.startswith(str(root / sorted(folds)[0])) for image in scanned(alone)} == {True}


def test_a_folder_that_cannot_be_typed_as_a_key_is_to_be_renamed(tmp_path):
    for number, fold in enumerate(["fold ä", "it's 2", "fold_3", "1e3"]):
        write_classes(tmp_path / fold, 1, first_seed=10 * number)
    assert "rename those that cannot be typed as a key: ['1e3', 'fold ä', \"it's 2\"]" in refused(tmp_path)


def test_of_images_and_masks_in_a_split_the_images_are_named_as_typed(tmp_path, caplog):
    for number, folder in enumerate(["train/images", "train/masks", "val", "test/images"]):
        write_classes(tmp_path / folder, 2, first_seed=10 * number)
    said = refused(tmp_path)
    word = printed_word(said, "data.split_folders")
    assert word == "data.split_folders={test/images: test, train/images: train, val: val}"
    frame = build_manifest(as_typed(tmp_path, word), seed=0)
    assert not frame["path"].str.contains("/train/masks/").any()
    assert f"{tmp_path}/train: masks passed over, not being in data.split_folders" in caplog.text
    assert len(frame) == 30


def test_masks_beside_images_are_no_part_of_the_set(tmp_path):
    """Jiangxi Tecom as it comes: images/<class> and masks/<class>."""
    for number, folder in enumerate(["images", "Masks"]):
        write_classes(tmp_path / folder, 1, first_seed=10 * number)
    said = refused(tmp_path)
    assert "data.split_folders" not in said
    root = composed("data=folder", printed_word(said, "data.root")).data.root
    assert {image.path.split("/")[-3] for image in scanned(root)} == {"images"}


def test_of_a_lab_the_mends_are_others(tmp_path):
    for number, fold in enumerate(["fold_0", "fold_1"]):
        write_classes(tmp_path / "ours" / fold, 1, first_seed=10 * number)
    with pytest.raises(DataError) as error:
        build_manifest(data_config(tmp_path, source="labs", labs={"ours": "ours"}), seed=0)
    assert "data.split_folders" not in str(error.value)
    assert f"name it in data.labs.ours: {tmp_path}/ours/fold_0" in str(error.value)


@pytest.mark.parametrize("folds", [["all folds"], ["fold_0", "fold_1"]])
def test_unknown_classes_are_those_in_the_folds(tmp_path, folds):
    """C-NMC: fold_0/all, fold_0/hem.  The advice was an alias for fold_0."""
    for number, fold in enumerate(folds):
        write_classes(tmp_path / fold, 1, ["all", "hem"], first_seed=10 * number)
    assert f"folders under {tmp_path}/{', '.join(folds)}: 'all', 'hem'" in refused(tmp_path)
    known = ClassNames(["all", "hem"])
    assert len(folds) == 2 or len(scanned(tmp_path, known)) == 2


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (["train", "Basophil"], {"train"}),
        (["train", "rest"], {"train"}),
        (["train", "val", "Validation"], {"train", "val"}),
    ],
)
def test_of_folders_that_read_in_two_ways_those_meant_are_named_as_typed(tmp_path, folders, splits):
    for number, folder in enumerate(folders):
        write_classes(tmp_path / folder, 10, first_seed=100 * number)
    word = printed_word(refused(tmp_path), "data.split_folders")
    given = as_typed(tmp_path, word).split_folders
    assert {image.split for image in scanned(tmp_path, split_folders=given)} == splits


# --- messages that led astray


@pytest.mark.parametrize(
    ("preset", "key"), [("data=raabin", "data.group"), ("experiment=pbc", "data.split_folders")]
)
def test_class_folders_under_a_preset_of_another_set_are_told_the_key(tmp_path, preset, key):
    """`data.root=<plain class folders>` was answered with how to get Raabin-WBC and with data=folder."""
    write_classes(tmp_path / "cells", 10)
    given = [preset, f"data.root={tmp_path}/cells", f"data.checks_dir={tmp_path}"]
    with pytest.raises(DataError) as error:
        build_manifest(composed(*given).data, seed=0)
    assert "raabindata" not in str(error.value)
    mend = f"{key}=null"
    assert mend in str(error.value)
    assert set(build_manifest(composed(*given, mend).data, seed=0)["split"]) == {"train", "val", "test"}


def test_of_a_wrapped_set_that_lacks_a_split_the_inner_folder_is_named(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_classes(tmp_path / "cells" / "Raabin" / "Train", 10)
    given = {"Train": "train", "TestA": "test_a"}
    said = refused(tmp_path / "cells", split_folders=given)
    assert f"{tmp_path}/cells/Raabin lacks TestA (test_a) of data.split_folders; it holds Train" in said
    mend = printed_word(said, "data.split_folders")
    assert mend == "data.split_folders=null"
    assert caplog.text.count("further in") == 1
    assert {image.split for image in scanned(tmp_path / "cells")} == {"train"}


def test_the_preset_for_other_labs_takes_class_folders_as_they_are(tmp_path):
    write_classes(tmp_path / "cells", 10)
    settings = composed(
        "experiment=other_labs", f"data.root={tmp_path}/cells", f"data.checks_dir={tmp_path}"
    ).data
    assert set(build_manifest(settings, seed=0)["split"]) == {"train", "val", "test"}


def test_how_to_get_images_is_said_to_those_who_have_none(tmp_path):
    assert "raabindata" in refused(tmp_path)
    (tmp_path / "Basophil").mkdir()
    assert "raabindata" in refused(tmp_path)
    (tmp_path / "Basophil" / "cells.zip").write_text("")
    said = refused(tmp_path)
    assert "expected <class>/*.jpg" in said
    assert "raabindata" not in said


def test_the_mends_work_as_typed(tmp_path):
    """Folders with blanks, through the command line of a user."""
    root = tmp_path / "my cells"
    for number, fold in enumerate(["fold 1", "fold 2"]):
        write_classes(root / fold, 4, ["Basophil", "Monocyte"], first_seed=20 * number)
    words = [
        *(word for word in SMALL if not word.startswith(("data=", "data.images"))),
        *("data=folder", f"data.root={root}", f"data.checks_dir={tmp_path}", "phase=head"),
        *("data.classes=[Basophil,Monocyte]", "data.test_fraction=0", f"hydra.run.dir={tmp_path}/run"),
    ]
    first = typed("train.py", *words)
    assert first.returncode == 1
    mend = printed_word(first.stdout + first.stderr, "data.split_folders")
    assert mend == "data.split_folders={fold 1: train, fold 2: val}"
    second = typed("train.py", *words, mend)
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "run" / "model.ckpt").exists()
