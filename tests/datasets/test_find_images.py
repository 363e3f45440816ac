import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from wbc.datasets.find_images import find_images
from wbc.datasets.manifest import COLUMNS, write_manifest
from wbc.errors import DataError
from wbc.labels import CLASSES, ClassNames

NAMES = ClassNames(CLASSES)


@pytest.fixture
def tree(tmp_path):
    for name in ("cells/Neutrophil/a.png", "cells/monocytes/deep/b.PNG", "cells/c.jpg", "cells/.hidden.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    (tmp_path / "cells" / "notes.txt").write_text("no image")
    return tmp_path


def found(given, checkpoint):
    frame = find_images(str(given), NAMES, checkpoint)
    return dict(zip([path.rpartition("/")[2] for path in frame["path"]], frame["label"], strict=True))


def test_a_folder_is_searched_to_any_depth_and_labels_are_the_folders_that_spell_a_class(tree):
    expected = {"a.png": "Neutrophil", "b.PNG": "Monocyte", "c.jpg": ""}
    assert found(tree / "cells", tree / "model.ckpt") == expected


def test_a_file_and_a_pattern(tree):
    assert found(tree / "cells/Neutrophil/a.png", tree / "m") == {"a.png": "Neutrophil"}
    assert found(tree / "cells/**/*.PNG", tree / "m") == {"b.PNG": "Monocyte"}
    assert found(tree / "cells/*", tree / "m") == {"c.jpg": ""}


def test_a_table(tree):
    table = tree / "table.csv"
    table.write_text("path,label\ncells/c.jpg,EO\ncells/Neutrophil/a.png,neutrophil\n")
    assert found(table, tree / "m") == {"c.jpg": "Eosinophil", "a.png": "Neutrophil"}


@pytest.mark.parametrize("checkpoint", ["model.ckpt", "checkpoints/head/best.ckpt"])
def test_a_split_of_the_models_own_run_without_what_was_left_out(tree, checkpoint):
    rows = [
        {"path": "/x/1.png", "label": "Monocyte", "split": "test", "excluded": ""},
        {"path": "/x/2.png", "label": "Monocyte", "split": "test", "excluded": "unreadable"},
        {"path": "/x/3.png", "label": "Basophil", "split": "train", "excluded": ""},
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS, dtype=object).fillna("")
    write_manifest(frame, tree / "run" / "manifest.csv")
    assert found("test", tree / "run" / checkpoint) == {"1.png": "Monocyte"}
    with pytest.raises(DataError, match="test, train"):
        find_images("tset", NAMES, tree / "run" / checkpoint)


def test_a_word_that_is_a_split_and_a_folder_is_refused(tree, monkeypatch):
    row = {"path": "/x/1.png", "label": "Monocyte", "split": "test"}
    write_manifest(
        pd.DataFrame([row], columns=COLUMNS, dtype=object).fillna(""), tree / "run" / "manifest.csv"
    )
    (tree / "test").symlink_to(tree / "cells")
    monkeypatch.chdir(tree)
    with pytest.raises(DataError, match=r"images=\./test"):
        find_images("test", NAMES, tree / "run" / "model.ckpt")
    assert len(find_images("./test", NAMES, tree / "run" / "model.ckpt")) == 3


def test_folders_above_the_one_given_say_nothing_about_cells(tree):
    top = tree / "mo" / "slide_1"
    top.parent.mkdir()
    (tree / "cells").rename(top)
    assert found(top, tree / "m")["c.jpg"] == ""
    assert found(top / "Neutrophil", tree / "m") == {"a.png": "Neutrophil"}  # the folder given does
    assert found(top / "*.jpg", tree / "m") == {"c.jpg": ""}


def test_a_table_whose_rows_are_all_left_out_is_refused(tree):
    table = tree / "table.csv"
    table.write_text("path,label,excluded\ncells/c.jpg,EO,blurred\n")
    with pytest.raises(DataError, match="every row"):
        find_images(str(table), NAMES, tree / "m")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("nowhere", "no such file or folder"),
        ("empty", "no images in the folder"),
        ("cells/*.gif", "no image matches"),
        ("cells/*.txt", "1 other files do"),
    ],
)
def test_where_nothing_is_found_the_error_says_what_was_looked_for(tree, given, complaint):
    (tree / "empty").mkdir()
    with pytest.raises(DataError, match=complaint):
        find_images(str(tree / given), NAMES, tree / "model.ckpt")


def test_a_name_in_another_encoding_is_refused(tree):
    (tree / "cells" / "c.jpg").rename(os.fsdecode(os.fsencode(tree / "cells") + b"/\xe4.jpg"))
    with pytest.raises(DataError, match="not UTF-8"):
        found(tree / "cells", tree / "model.ckpt")
