"""What is read of the table that predict writes, and what is said of one that it did not write."""

import numpy as np
import pandas as pd
import pytest

from tests.helpers.reviewed import write_crops, write_photographs
from wbc.errors import DataError
from wbc.images.boxes import Box
from wbc.labels import CLASSES
from wbc.plain.prediction_rows import columns
from wbc.reviewing.cells import read_cells


@pytest.mark.parametrize("table", ["predictions.csv", "predictions.parquet"])
def test_every_column_is_what_was_answered(tmp_path, table):
    made = write_crops(tmp_path, 40, table=table)
    cells = read_cells(tmp_path, table)
    assert len(cells) == 40
    assert [cells.classes[place] for place in cells.prediction] == made.labels
    np.testing.assert_allclose(cells.probabilities, made.probabilities, rtol=1e-5)
    np.testing.assert_allclose(cells.confidence, made.probabilities.max(axis=1), rtol=1e-5)
    assert [cells.statuses[place] for place in cells.status] == made.status
    assert cells.groups == ["a", "b"]
    assert [cells.groups[place] for place in cells.group[:3]] == ["b", "a", "a"]
    assert cells.sets[0].as_py().split(" | ") == made.sets[0]
    assert cells.path(7) == str(tmp_path / "cells" / "a" / "7.png")
    assert cells.box(7) is None
    assert cells.named("A/7.PNG").nonzero()[0].tolist() == [7]


def test_cells_of_photographs_have_their_own_boxes_and_share_a_photograph(tmp_path):
    write_photographs(tmp_path)
    cells = read_cells(tmp_path, "predictions.csv")
    assert [cells.photograph_path(cell) for cell in range(3)] == [
        str(tmp_path / name) for name in ("one.png", "one.png", "two.png")
    ]
    assert cells.box(1) == Box(270, 170, 330, 230)
    (tmp_path / "cells.csv").unlink()
    assert read_cells(tmp_path, "predictions.csv").box(1) == Box(250, 150, 350, 250)  # the crop


def test_names_that_hold_commas_quotes_and_line_ends_are_read(tmp_path):
    write_crops(tmp_path, 3, names='a, "{}"\n<b>.png')
    assert read_cells(tmp_path, "predictions.csv").path(1).endswith('a, "1"\n<b>.png')


def write(text, name="predictions.csv"):
    def spoil(folder):
        (folder / name).write_text(text)

    return spoil


def shortened(folder):
    rows = pd.read_csv(folder / "cells.csv")
    rows.iloc[1:].to_csv(folder / "cells.csv", index=False)


def of_another_class(folder):
    rows = pd.read_csv(folder / "predictions.csv")
    rows.loc[1, "prediction"] = "Blast"
    rows.to_csv(folder / "predictions.csv", index=False)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda folder: (folder / "predictions.csv").unlink(),
            "has no predictions.csv; give the folder that",
        ),
        (lambda folder: (folder / "predictions.csv").rename(folder / "predictions.parquet"), "give table="),
        (lambda folder: [(folder / "predictions.csv").unlink(), (folder / "parts").mkdir()], "was stopped"),
        (write(""), "no table of predictions: its columns are none"),
        (write("path,label\na.png,x\n"), "no table of predictions: its columns are path, label"),
        (write("a,b\n1,2,3\n"), "is damaged"),
        (write("\0\1\2\xff"), "predictions.csv"),
        (of_another_class, "the prediction 'Blast' is no class of the table"),
        (shortened, "cells.csv is not of the predictions beside it"),
        (write("x", "cells.csv"), "cells.csv is not of the predictions beside it"),
        (write("photograph,x0", "cells.csv"), "cells.csv is damaged"),
    ],
)
def test_what_is_no_folder_of_predictions_is_refused_with_the_mend(tmp_path, spoil, said):
    write_photographs(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=said):
        read_cells(tmp_path, "predictions.csv")


def test_a_table_without_cells_is_refused(tmp_path):
    write_crops(tmp_path, 0)
    with pytest.raises(DataError, match="holds no cell"):
        read_cells(tmp_path, "predictions.csv")


def test_a_checkpoint_or_a_missing_folder_is_told_from_a_folder(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"?")
    with pytest.raises(DataError, match=r"model.ckpt is a file; give the folder that wbc predict wrote"):
        read_cells(tmp_path / "model.ckpt", "predictions.csv")
    with pytest.raises(DataError, match="there is no such folder"):
        read_cells(tmp_path / "nowhere", "predictions.csv")


def test_columns_of_a_model_with_words_are_passed_over(tmp_path):
    made = write_crops(tmp_path, 4)
    rows = pd.read_csv(tmp_path / "predictions.csv", keep_default_na=False)
    names = columns(CLASSES, ["nucleus"])
    rows.reindex(columns=names, fill_value="").to_csv(tmp_path / "predictions.csv", index=False)
    assert len(names) > len(columns(CLASSES))
    cells = read_cells(tmp_path, "predictions.csv")
    assert cells.classes == list(CLASSES)
    assert [cells.statuses[place] for place in cells.status] == made.status


def test_a_class_may_be_named_as_a_column_is(tmp_path):
    write_crops(tmp_path, 4)
    text = (tmp_path / "predictions.csv").read_text()
    (tmp_path / "predictions.csv").write_text(text.replace("Monocyte", "status"))
    cells = read_cells(tmp_path, "predictions.csv")
    assert cells.classes == [name.replace("Monocyte", "status") for name in CLASSES]
    assert set(cells.statuses) <= {"answered", "uncertain", "not a known cell"}
