"""Tables and lists that users give: their encoding, separator and header, and their rows one by one.

What spreadsheets write is understood: commas, semicolons or tabs; UTF-8 or UTF-16; a header in any letter
case.  What is no table is refused by what it is.  One row at a time is in memory: predict's lists may have a
million.
"""

from __future__ import annotations

import codecs
import csv
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from wbc.datasets.walk import is_image
from wbc.errors import DataError

_TEXT_TABLES = (".csv", ".tsv")
# Spreadsheets are among them so that they are refused as such, and not as an image.
TABLES = (*_TEXT_TABLES, ".xlsx", ".xlsm", ".xls", ".ods")
_SEPARATORS = (",", ";", "\t")
_HEAD_BYTES = 4096
_SAVE_AS = "save it as CSV with UTF-8 (Excel: 'CSV UTF-8')"
_KINDS = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls) or another old Office document",
    b"\x1f\x8b": "compressed by gzip",
    b"PAR1": "a Parquet table",
}
_LONGEST = 131_072  # characters of a field, csv's own limit


class Row(NamedTuple):
    """A row as it is written: the line on which it starts, counted from 1, and column -> field."""

    line: int
    fields: dict[str, str]


class UserTable:
    """A table's header, read when it is made, and its rows, read as they are asked for."""

    def __init__(self, file: Path, needed: Sequence[str], read: Sequence[str] = ()) -> None:
        """Raises DataError for a file that is no table or lacks one of the columns `needed`, or holds one of
        them or of those also `read` twice.
        """
        self.file = file
        headers = {separator: _header(file, separator) for separator in _SEPARATORS}

        def fits(separator: str) -> tuple[int, int]:
            columns = column_names(headers[separator])
            return sum(name in columns for name in needed), len(columns)

        self.separator = max(_SEPARATORS, key=fits)
        header = headers[self.separator]
        self.columns = column_names(header)
        if missing := [name for name in needed if name not in self.columns]:
            if any(map(is_image, header)):
                raise DataError(
                    f"{file} has no header: its first line is {self.separator.join(header)!r}; write the "
                    f"names of its columns above it ({', '.join(needed)})"
                )
            raise DataError(
                f"{file} lacks the columns {', '.join(missing)}; its header is {', '.join(header)!r}. Name "
                "them so, separated by commas, semicolons or tabs"
            )
        self.refuse_twins((*needed, *read))

    def refuse_twins(self, names: Sequence[str]) -> None:
        """Raises DataError where several columns have one of these names."""
        for name in names:
            if (count := self.columns.count(name)) > 1:
                raise DataError(f"{self.file}: {count} columns are called {name!r}; keep one of them")

    def __iter__(self) -> Iterator[Row]:
        """The rows, those of nothing but blanks passed over; fields that a short row lacks are "".

        Raises DataError with the line for a row of too many fields, and for what is no text.
        """
        is_header = True
        for line, fields in _records(self.file, self.separator):
            if is_header:
                is_header = False
                continue
            if any(field.strip() for field in fields[len(self.columns) :]):
                raise DataError(
                    f"{self.file}, line {line}: {len(fields)} fields where the header has "
                    f"{len(self.columns)}; put a field that holds {self.separator!r} in quotes"
                )
            lacking = [""] * (len(self.columns) - len(fields))
            yield Row(line, dict(zip(self.columns, fields + lacking, strict=False)))


def column_names(header: Sequence[str]) -> list[str]:
    """As columns are asked for: without blanks around, in lower case."""
    return [name.strip().lower() for name in header]


def is_table(file: Path) -> bool:
    """Whether a file is a table by its suffix or, whatever that is, by a header with a column path.

    Excel saves "Unicode text" as a table in a .txt.
    """
    if file.suffix.lower() in TABLES:
        return True
    first = next(listed_lines(file), Row(0, {"path": ""})).fields["path"]
    return any("path" in column_names(first.split(separator)) for separator in _SEPARATORS)


def listed_lines(file: Path) -> Iterator[Row]:
    """The lines of a list, each as the field `path` of a row; empty ones are passed over."""
    for number, line in enumerate(_lines(file), 1):
        if line.strip():
            yield Row(number, {"path": line.rstrip("\r\n")})


def _header(file: Path, separator: str) -> list[str]:
    for _, fields in _records(file, separator):
        return fields
    raise DataError(f"{file} is empty: expected a line an image; give another file")


def _records(file: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The line on which each begins, and its fields."""
    reader = csv.reader(_lines(file), delimiter=separator, strict=True)
    line = 1
    try:
        for fields in reader:
            if any(map(str.strip, fields)):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as problem:
        if "field limit" in str(problem):
            raise DataError(
                f"{file}, line {line}: a field of more than {_LONGEST:,} characters; close the quote that "
                "opens it, or take its column out"
            ) from problem
        raise DataError(
            f"{file}, line {line}: quotes that do not match ({problem}); a field in quotes begins and ends "
            'with one, and "" stands for one inside it'
        ) from problem


def _lines(file: Path) -> Iterator[str]:
    """Lines with their ends.  Raises DataError for a file that is no text, or in another encoding."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
    except OSError as problem:
        raise DataError(f"{file}: {problem.strerror}; mend its permissions") from problem
    is_wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if what := _kind(file, head):
        raise DataError(f"{file} is {what}, not a table in text; {_SAVE_AS}")
    if b"\0" in head and not is_wide:
        raise DataError(f"{file} is no text: it holds NUL bytes; {_SAVE_AS}")
    number = 0
    encoding = "utf-16" if is_wide else "utf-8-sig"
    with file.open(encoding=encoding, errors="surrogateescape", newline="") as lines:
        try:
            for number, line in enumerate(lines, 1):
                if not line.isascii():
                    line.encode()  # a byte that is not of the encoding has become half a character
                if "\0" in line:
                    raise DataError(f"{file}, line {number} holds a NUL character; {_SAVE_AS}")
                yield line
        except UnicodeEncodeError as problem:
            raise DataError(
                f"{file}, line {number} is not UTF-8: {line.strip()!a}; {_SAVE_AS}, and rename files whose "
                "own names are not UTF-8 (e.g. with convmv)"
            ) from problem
        except UnicodeDecodeError as problem:
            raise DataError(f"{file}, line {number + 1} or below is damaged UTF-16; {_SAVE_AS}") from problem


def _kind(file: Path, head: bytes) -> str:
    """What a file is that is often taken for a table, "" where it is none of these."""
    if not head.startswith(b"PK\x03\x04"):
        return next((kind for start, kind in _KINDS.items() if head.startswith(start)), "")
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            kind = b""
            if "mimetype" in names:
                with archive.open("mimetype") as entry:
                    kind = entry.read(_HEAD_BYTES)  # a hostile one could unpack to gigabytes
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return "a damaged ZIP archive"
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook"
    return "an OpenDocument spreadsheet" if b"spreadsheet" in kind else "a ZIP archive"
