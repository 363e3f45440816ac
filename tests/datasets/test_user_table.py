"""Tables and lists as strangers have them: understood by every verb alike, or refused by what they are."""

import gzip
import io
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.trees import picture, write_image
from wbc.datasets.find_images import find_images
from wbc.datasets.image_list import ImageList, write_list
from wbc.datasets.manifest import read_csv
from wbc.datasets.user_table import UserTable
from wbc.errors import DataError
from wbc.labels import CLASSES, ClassNames

NAMES = ClassNames(CLASSES)


def by_train(file: Path) -> list[str]:
    return read_csv(file, NAMES, "here")["path"].tolist()


def by_evaluate(file: Path) -> list[str]:
    return find_images(str(file), NAMES, file.parent / "model.ckpt")["path"].tolist()


def by_predict(file: Path) -> list[str]:
    beside = file.parent / "list.jsonl"
    write_list(str(file), None, beside)
    images = ImageList(beside, 7)
    return [one.path for number in range(len(images)) for one in images.batch(number)]


READERS = [by_train, by_evaluate, by_predict]


@pytest.fixture
def cells(tmp_path) -> Path:
    for number, name in enumerate(("cells/ä.png", "cells/b, c.png")):
        write_image(tmp_path / name, picture(number))
    return tmp_path


PLAIN = 'path,label\ncells/ä.png,EO\n"cells/b, c.png",neutrophil\n'
UNDERSTOOD = {
    "plain": PLAIN.encode(),
    "a mark before UTF-8": PLAIN.encode("utf-8-sig"),
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16, the other way round": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "lines of Windows": PLAIN.replace("\n", "\r\n").encode(),
    "lines of an old Mac": PLAIN.replace("\n", "\r").encode(),
    "semicolons": b"path;label\n" + "cells/ä.png;EO\ncells/b, c.png;NEU\n".encode(),
    "tabs": b"path\tlabel\n" + "cells/ä.png\tEO\ncells/b, c.png\tNEU\n".encode(),
    "Excel's Unicode text": "path\tlabel\r\ncells/ä.png\tEO\r\ncells/b, c.png\tNEU\r\n".encode("utf-16"),
    "another case and blanks in the header": PLAIN.replace("path,label", " Path ,\tLABEL ").encode(),
    "blanks after paths": PLAIN.replace(".png", ".png  ").encode(),
    "backslashes": PLAIN.replace("cells/", ".\\cells\\").encode(),
    "empty columns and rows": b"\npath;label;;\n"
    + "cells/ä.png;EO;;\n;;;\ncells/b, c.png;NEU;;;\n\n;;;\n".encode(),
    "two columns of no use under one name": PLAIN.replace("label", "label,note,note").encode(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", UNDERSTOOD.values(), ids=UNDERSTOOD)
@pytest.mark.parametrize("name", ["table.csv", "table.TSV"])
def test_what_spreadsheets_write_is_understood(cells, reader, content, name):
    (cells / name).write_bytes(content)
    assert reader(cells / name) == [str(cells / "cells/ä.png"), str(cells / "cells/b, c.png")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_of_paths_likewise(cells, encoding):
    """A list.txt of four paths in UTF-16 became seven names."""
    (cells / "list.txt").write_text("cells\\ä.png \r\n\r\ncells/b, c.png\n", encoding=encoding)
    assert by_predict(cells / "list.txt") == [str(cells / "cells/ä.png"), str(cells / "cells/b, c.png")]


@pytest.mark.parametrize("reader", READERS)
def test_a_table_that_excel_calls_txt_is_a_table(cells, reader):
    (cells / "list.txt").write_bytes(UNDERSTOOD["Excel's Unicode text"])
    assert len(reader(cells / "list.txt")) == 2


def test_a_file_of_the_very_name_wins(cells):
    for number, name in enumerate(("cells\\ä.png", "end.png ")):
        write_image(cells / "x.png", picture(number + 5)).rename(cells / name)
    (cells / "list.txt").write_text("cells\\ä.png\nend.png \n")
    assert by_predict(cells / "list.txt") == [f"{cells}/cells\\ä.png", f"{cells}/end.png "]


@pytest.mark.parametrize("reader", READERS)
def test_a_quoted_line_break_is_part_of_a_name_and_lines_are_counted_as_an_editor_does(cells, reader):
    write_image(cells / "line.png", picture(3)).rename(cells / "li\nne.png")
    (cells / "table.csv").write_text('path,label\n"li\nne.png",EO\n\n ,EO\n')
    with pytest.raises(DataError, match="line 5: no path"):
        reader(cells / "table.csv")
    (cells / "table.csv").write_text('path,label\n"li\nne.png",EO\n')
    assert reader(cells / "table.csv") == [f"{cells}/li\nne.png"]


def excel(entry: str, mimetype: str = "") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:  # ZipInfo: no time in what names the tests
        archive.writestr(zipfile.ZipInfo("mimetype"), mimetype)
        archive.writestr(zipfile.ZipInfo(entry), "<xml/>")
    return content.getvalue()


REFUSED = [
    ("table.csv", excel("xl/workbook.xml"), "table.csv is an Excel workbook.*'CSV UTF-8'"),
    ("table.xlsx", excel("xl/workbook.xml"), "table.xlsx is an Excel workbook"),
    ("table.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook \\(.xls\\)"),
    (
        "table.ods",
        excel("content.xml", "application/vnd.oasis.opendocument.spreadsheet"),
        "an OpenDocument spreadsheet",
    ),
    ("table.csv", excel("cells/a.png"), "a ZIP archive"),
    ("table.csv", b"PK\x03\x04 cut", "a damaged ZIP archive"),
    ("table.csv", gzip.compress(PLAIN.encode(), mtime=0), "compressed by gzip"),
    ("table.csv", b"PAR1", "a Parquet table"),
    ("table.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is no text: it holds NUL bytes"),
    ("table.csv", PLAIN.encode("utf-16-le"), "is no text: it holds NUL bytes"),
    ("table.csv", PLAIN.encode("utf-32"), "line 1 holds a NUL character"),
    ("table.csv", PLAIN.encode() + b"x" * 5000 + b"\0\n", "line 4 holds a NUL character"),
    ("table.csv", PLAIN.encode("utf-16")[:-1], "damaged UTF-16"),
    ("table.csv", PLAIN.encode("cp1252"), r"line 2 is not UTF-8: .*cells/\\udce4.png.*'CSV UTF-8'"),
    ("table.csv", b"", "table.csv is empty"),
    ("table.csv", b"\xef\xbb\xbf\n", "table.csv is empty"),
    ("table.csv", b"cells/a.png,EO\ncells/b.png,NEU\n", "has no header: its first line is 'cells/a.png,EO'"),
    ("table.csv", b"file;label\na.png;EO\n", "lacks the columns path; its header is 'file, label'"),
    ("table.csv", b"path,label\na.png,EO,5\n", "line 2: 3 fields where the header has 2"),
    ("table.csv", b"path,label,Path\na.png,EO,b.png\n", "2 columns are called 'path'; keep one"),
    ("table.csv", b"path,label\na.png,EO\n" + b"x" * 131_073, "line 3: a field of more than 131,072 char"),
    ("table.csv", b'path,label\na.png,"EO\nb.png,EO\n', "line 2: quotes that do not match"),
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("name", "content", "complaint"), REFUSED)
def test_what_is_no_table_is_refused_by_what_it_is(tmp_path, reader, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        reader(tmp_path / name)


@pytest.mark.parametrize(("content", "complaint"), [(one[1], one[2]) for one in REFUSED[4:14]])
def test_a_list_that_is_no_text_is_refused_likewise(tmp_path, content, complaint):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=complaint.replace("table.csv", "list.txt")):
        by_predict(tmp_path / "list.txt")


def test_the_mends_that_are_named_help(cells):
    table = cells / "table.csv"
    table.write_bytes(PLAIN.encode("cp1252"))
    table.write_text(table.read_text(encoding="cp1252"), encoding="utf-8-sig")  # what 'CSV UTF-8' writes
    assert len(by_train(table)) == 2
    table.write_text("path,label\n" + PLAIN.partition("\n")[2])  # a header written above
    assert len(by_train(table)) == 2


@pytest.mark.parametrize("reader", [by_train, by_evaluate])
def test_rows_without_a_label_are_told_by_their_lines(cells, reader):
    rows = "".join(f"cells/{number}.png,{'' if number % 2 else 'EO'}\n" for number in range(24))
    (cells / "table.csv").write_text("path,label\n" + rows)
    with pytest.raises(DataError, match=r"12 rows have no label \(lines 3, 5, 7, .*21, \.\.\.\); fill"):
        reader(cells / "table.csv")
    (cells / "table.csv").write_text(PLAIN.replace("EO", " ").replace("label", "label,excluded"))
    with pytest.raises(DataError, match=r"1 rows have no label \(lines 2\)"):
        reader(cells / "table.csv")


def test_a_column_for_groups_is_found_in_any_case(cells):
    (cells / "table.csv").write_text("Path;Slide\ncells/ä.png;7\n")
    write_list(str(cells / "table.csv"), "SLIDE", cells / "list.jsonl")
    assert ImageList(cells / "list.jsonl", 2).batch(0)[0].group == "7"


def test_short_rows_and_words_that_pandas_takes_for_nothing(tmp_path):
    (tmp_path / "table.csv").write_text("path,group,split\na.png,NA\nnull,,\n")
    fields = [row.fields for row in UserTable(tmp_path / "table.csv", ["path"])]
    assert pd.DataFrame(fields).to_numpy().tolist() == [["a.png", "NA", ""], ["null", "", ""]]
