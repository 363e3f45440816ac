"""Tables of attributes: names and values from the table, what is missing, and what cannot be learnt."""

import logging

import numpy as np
import pytest

from wbc.errors import DataError
from wbc.words.attribute_table import MISSING, AttributeTable


def table(folder, rows, header="path,label,granules,nucleus"):
    file = folder / "attributes.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def cells(count, granules="pink", nucleus="round", start=0):
    return [f"{start + number}.png,Monocyte,{granules},{nucleus}" for number in range(count)]


def test_names_and_values_are_those_of_the_table(tmp_path):
    file = table(tmp_path, [*cells(10), *cells(10, "red", "band", 10), "20.png,Monocyte,,NA"])
    read = AttributeTable.read(file)
    paths = [str(tmp_path / f"{number}.png") for number in (0, 10, 20, 99)]
    learnt = read.vocabulary([str(tmp_path / f"{number}.png") for number in range(21)])
    assert learnt.names == ("granules", "nucleus")
    assert learnt.values == (("pink", "red"), ("band", "round"))
    expected = [[0, 1], [1, 0], [MISSING, MISSING], [MISSING, MISSING]]
    np.testing.assert_array_equal(read.targets(learnt, paths), expected)


def test_a_path_through_a_link_is_the_same_cell(tmp_path):
    inside = tmp_path / "real"
    inside.mkdir()
    read = AttributeTable.read(table(inside, [*cells(10), *cells(10, "red", "band", 10)]))
    (tmp_path / "link").symlink_to(inside)
    paths = [str(tmp_path / "link" / f"{number}.png") for number in range(20)]
    assert (read.targets(read.vocabulary(paths), paths) != MISSING).all()


def test_a_rare_value_is_not_learnt_and_named(tmp_path, caplog):
    rows = [*cells(10), *cells(10, "red", "band", 10), *cells(3, "red", "kidney", 20)]
    read = AttributeTable.read(table(tmp_path, rows))
    paths = [str(tmp_path / f"{number}.png") for number in range(23)]
    with caplog.at_level(logging.WARNING):
        learnt = read.vocabulary(paths)
    assert "nucleus = kidney is not learnt: 3 training images" in caplog.text
    assert (read.targets(learnt, paths[20:])[:, 1] == MISSING).all()


def test_columns_of_names_and_of_one_value_are_no_attributes(tmp_path, caplog):
    rows = [f"{number}.png,Monocyte,{'ab'[number % 2]},patient {number},x" for number in range(30)]
    with caplog.at_level(logging.WARNING):
        read = AttributeTable.read(table(tmp_path, rows, "path,label,granules,patient,stain"))
    assert read.columns == ("granules",)
    assert "patient is no attribute: it has 30 values" in caplog.text
    assert "stain is no attribute: it has 1 values" in caplog.text


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["a.png,Monocyte"], "path,label", "no column of an attribute"),
        (["a.png,x", "a.png,y"], "path,granules", "occurs a second time; keep one row"),
        (["a.png,x", "b.png,y"], "file,granules", "lacks the columns path"),
    ],
)
def test_what_is_no_table_of_attributes_is_refused(tmp_path, rows, header, message):
    with pytest.raises(DataError, match=message):
        AttributeTable.read(table(tmp_path, rows, header))


def test_a_table_of_other_images_is_refused_with_both_paths(tmp_path):
    read = AttributeTable.read(table(tmp_path, [*cells(10), *cells(10, "red", "band", 10)]))
    with pytest.raises(DataError, match=r"none of 1 training images, such as /elsewhere/1\.png.*0\.png"):
        read.vocabulary(["/elsewhere/1.png"])
    with pytest.raises(DataError, match=r"name more cells"):
        read.vocabulary([str(tmp_path / "0.png")])


def test_no_table_at_all_says_which(tmp_path):
    with pytest.raises(DataError, match=r"gone\.csv does not exist"):
        AttributeTable.read(tmp_path / "gone.csv")
