"""Rows with boxes are crops of their photograph, for every verb alike."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers.places import DATA
from tests.helpers.trees import data_config, picture, write_image
from wbc.datasets.find_images import find_images
from wbc.datasets.image_list import ImageList, write_list
from wbc.datasets.manifest import build_manifest, read_csv, write_manifest
from wbc.errors import DataError
from wbc.images.decode import decode
from wbc.labels import CLASSES, ClassNames

NAMES = ClassNames(CLASSES)


@pytest.fixture
def field(tmp_path) -> Path:
    return write_image(tmp_path / "field.png", picture(1, 40))


def read(folder: Path, text: str) -> list[str]:
    """What training and evaluating read, which is what predict reads."""
    (folder / "table.csv").write_text(text)
    paths = read_csv(folder / "table.csv", NAMES, "here")["path"].tolist()
    assert find_images(str(folder / "table.csv"), NAMES, folder / "model.ckpt")["path"].tolist() == paths
    write_list(str(folder / "table.csv"), None, folder / "list.jsonl")
    assert [one.path for one in ImageList(folder / "list.jsonl", 99).batch(0)] == paths
    return paths


@pytest.mark.parametrize(
    ("columns", "fields"),
    [
        ("x0,y0,x1,y1", "3,5,20,11"),
        (" X0 ,Y0,X1,Y1", "3.2,4.5,19.9,11.4"),
        ("xmin,ymin,xmax,ymax", "3,5,20,11"),
        ("x1,y1,x2,y2", "3,5,20,11"),
        ("bbox_x,bbox_y,bbox_width,bbox_height", "3,5,17,6"),
        ("x,y,width,height", "2.9,5.4,16.8,5.6"),
        ("width,height,xmin,ymin,xmax,ymax", "40,40,3,5,20,11"),  # those of the photograph stand beside it
    ],
)
def test_the_columns_of_boxes(tmp_path, field, columns, fields):
    assert read(tmp_path, f"path,label,{columns}\nfield.png,EO,{fields}\n") == [f"{field}#xywh=3,5,17,6"]


def test_a_decimal_comma_and_rows_without_a_box(tmp_path, field):
    text = "path;label;x0;y0;x1;y1\nfield.png;EO;3,2;5,0;19,9;11\nfield.png;EO;;;;\n"
    assert read(tmp_path, text) == [f"{field}#xywh=3,5,17,6", str(field)]


def test_boxes_over_the_edge_end_there_and_are_told(tmp_path, field, caplog):
    text = "path,label,x0,y0,x1,y1\nfield.png,EO,-3,30,20,52\nfield.png,EO,1,1,5,5\nfield.png,EO,90,0,99,9\n"
    paths = read(tmp_path, text)
    assert paths == [f"{field}#xywh={box}" for box in ("0,30,20,10", "1,1,4,4", "90,0,9,9")]
    assert caplog.text.count("1 boxes reach over the edge of their photograph and end there") == 3
    assert "field.png#xywh=-3,30,23,22 (line 2)" in caplog.text
    np.testing.assert_array_equal(decode(paths[0]), picture(1, 40)[30:, :20])


@pytest.mark.parametrize(
    ("columns", "fields", "complaint"),
    [
        ("x0,y0,x1,y1", "1,2,,4", "line 2: .* give four numbers of pixels, or none"),
        ("x0,y0,x1,y1", "1,2,x,4", "give four numbers"),
        ("x0,y0,x1,y1", "1,2,inf,4", "give numbers of pixels"),
        ("x,y,width,height", "0.1,0.2,0.5,1", "shares of the picture: multiply them"),
        ("x0,y0,x1,y1,x1", "1,2,3,4,5", "2 columns are called 'x1'"),
        ("x0,y0,x1,y1,x,y,width,height", "1,2,3,4,1,2,2,2", "tells its boxes twice"),
    ],
)
def test_boxes_that_say_nothing_are_refused(tmp_path, field, columns, fields, complaint):
    with pytest.raises(DataError, match=complaint):
        read(tmp_path, f"path,label,{columns}\nfield.png,EO,{fields}\n")


def test_two_meanings_of_one_name_are_refused(tmp_path, field):
    with pytest.raises(DataError, match=r"line 2: a box in the path .* and another in the columns"):
        read(tmp_path, 'path,label,x0,y0,x1,y1\n"field.png#xywh=1,2,3,4",EO,1,2,3,4\n')
    write_image(tmp_path / "field.png#xywh=1,2,3,4.bmp", picture(2)).rename(f"{field}#xywh=1,2,3,4")
    with pytest.raises(DataError, match="is a file as well as a box"):
        read(tmp_path, "path,label,x0,y0,x1,y1\nfield.png,EO,1,2,4,6\n")


def test_a_path_that_stands_twice_says_which_columns_are_boxes(tmp_path, field, caplog):
    with pytest.raises(DataError, match=r"keep one row each\. Rows that are boxes .* columns x0, y0, x1, y1"):
        read(tmp_path, "path,label\nfield.png,EO\nfield.png,NEU\n")
    write_list(str(tmp_path / "table.csv"), None, tmp_path / "list.jsonl")
    assert "counted once; rows that are boxes of one photograph need the columns x0, y0" in caplog.text


def photographs(folder: Path, count: int, more: str = "", row=lambda number, cell: "") -> Path:
    """A table of `count` photographs, each with a box of every class."""
    lines = [f"path,label,x0,y0,x1,y1{more}"]
    for number in range(count):
        write_image(folder / f"{number}.png", picture(number, 40))
        lines += [
            f"{number}.png,{label},{8 * cell},2,{8 * cell + 7},30{row(number, cell)}"
            for cell, label in enumerate(CLASSES)
        ]
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def manifest_of(table: Path) -> pd.DataFrame:
    return build_manifest(data_config(table, source="manifest"), seed=0)


def parted(frame: pd.DataFrame) -> int:
    files = frame["path"].str.partition("#")[0]
    return int((frame["split"].groupby(files).nunique() > 1).sum())


def test_splits_keep_photographs_whole_and_the_manifest_can_be_given_again(tmp_path):
    """A table of several boxes an image was refused with 'keep one row each', which throws cells away."""
    frame = manifest_of(photographs(tmp_path / "cells", 20))
    assert len(frame) == frame["path"].nunique() == 100
    assert (frame["excluded"] == "").all()
    assert set(frame["split"]) == {"train", "val", "test"}
    assert parted(frame) == 0
    assert (frame["group"] == frame["path"].str.partition("#")[0]).all()
    write_manifest(frame, tmp_path / "run/manifest.csv")
    pd.testing.assert_frame_equal(manifest_of(tmp_path / "run/manifest.csv"), frame)
    again = pd.read_csv(tmp_path / "run/manifest.csv")[["path", "label"]]
    again.to_csv(tmp_path / "run/bare.csv", index=False)  # as a user cuts it down
    assert parted(manifest_of(tmp_path / "run/bare.csv")) == 0


def test_groups_that_contradict_photographs_part_none(tmp_path):
    by_cell = photographs(
        tmp_path / "cells", 20, ",group", lambda number, cell: f",{(number + cell) % 2}{number}"
    )
    assert parted(manifest_of(by_cell)) == 0


def test_given_splits_that_part_a_photograph_are_refused_and_the_mends_help(tmp_path):
    def split(number, cell):
        return "," + ("val" if cell == 3 and number == 4 else "test" if number < 2 else "train")

    table = photographs(tmp_path / "cells", 20, ",split", split)
    with pytest.raises(
        DataError, match=r"1 of 20 photographs have boxes in several splits, e\.g\. .*4\.png in"
    ) as caught:
        manifest_of(table)
    assert re.search("one split, or take the column split out", str(caught.value))
    rows = pd.read_csv(table)
    rows.drop(columns="split").to_csv(table, index=False)
    assert parted(manifest_of(table)) == 0
    whole = rows.assign(split=rows["split"].mask(rows["path"] == "4.png", "val"))
    whole.to_csv(table, index=False)
    assert manifest_of(table)["split"].value_counts().to_dict() == {"train": 85, "test": 10, "val": 5}


def test_boxes_without_a_picture_are_told_as_unreadable(tmp_path):
    table = photographs(tmp_path / "cells", 20)
    with table.open("a") as rows:
        rows.write("\n0.png,EO,99,0,120,9\n1.png,EO,5,5,5,9\n")
    with pytest.raises(DataError, match="2 of 102 images cannot be used") as caught:
        manifest_of(table)
    assert "0.png#xywh=99,0,21,9: the box lies outside the picture of 40 x 40 pixels" in str(caught.value)
    assert "1.png#xywh=5,5,0,4: the box has no area" in str(caught.value)


@pytest.mark.skipif(
    not (DATA / "fields" / "aslan").is_dir(), reason=f"no photographs: {DATA}/fields is absent"
)
def test_real_photographs(tmp_path):
    """Each white cell of a hundred photographs is an image, as its annotator framed it."""
    boxes = pd.read_csv(DATA / "fields/aslan/boxes.csv").query("label == 'white'")
    table = boxes.rename(columns={"file": "path"}).assign(path=f"{DATA}/fields/aslan/" + boxes["file"])
    table.to_csv(tmp_path / "white.csv", index=False)
    write_list(str(tmp_path / "white.csv"), "path", tmp_path / "list.jsonl")
    found = ImageList(tmp_path / "list.jsonl", 200).batch(0)
    assert len(found) == len(boxes) == 103
    assert len({one.group for one in found}) == boxes["file"].nunique()
    shapes = np.array([decode(one.path).shape[1::-1] for one in found])
    sides = boxes[["x1", "y1"]].to_numpy() - boxes[["x0", "y0"]].to_numpy()
    assert np.abs(shapes - sides).max() <= 1
