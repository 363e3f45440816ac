"""Sort pictures of single white blood cells by the model beside this file.

    python classify.py <picture> [<picture> ...] [--list <paths.txt>] [--table answers.csv]

Prints a row for each: class, probability of each class, classes that it could be, status.  Ends with 1 where
a picture cannot be read; its row says why.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from wbc.errors import ImageError
from wbc.exporting.standalone.classifier import Classifier
from wbc.exporting.standalone.onnx_engine import Engine
from wbc.images.decode import decode
from wbc.plain.answers import joined, no_answers, with_unreadable
from wbc.plain.prediction_rows import columns, prediction_rows

BATCH_SIZE = 32


def rows(classifier: Classifier, paths: list[str]) -> Iterator[tuple[list[str], str]]:
    """A row of the table for each picture, and why it cannot be read, or ""."""
    for start in range(0, len(paths), BATCH_SIZE):
        batch = paths[start : start + BATCH_SIZE]
        pictures, reasons = [], []
        for path in batch:
            try:
                pictures.append(decode(path))
                reasons.append("")
            except ImageError as problem:
                reasons.append(problem.reason)
        nothing = no_answers(len(classifier.classes))
        answers = joined([nothing, classifier.answer(pictures)]) if pictures else nothing
        told = with_unreadable(answers, reasons)
        rows_of_batch = prediction_rows(told, batch, attributes=classifier.attributes)
        yield from zip(rows_of_batch, reasons, strict=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="*", help="files")
    parser.add_argument("--list", type=Path, help="a text file with a path a line")
    parser.add_argument("--table", type=Path, help="write the rows there")
    given = parser.parse_args()
    try:
        listed = [] if given.list is None else given.list.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"--list {given.list}: {error}; give a text file with a path a line")
    paths = [*given.pictures, *filter(None, listed)]
    if not paths:
        parser.error("no picture: give files, or --list <paths.txt>")
    folder = Path(__file__).resolve().parent
    try:
        classifier = Classifier(folder, Engine(folder))
    except Exception as error:  # whatever an engine says of a file that it cannot read
        sys.exit(f"{folder}: the model cannot be loaded ({error}); copy the whole folder again")
    unreadable = 0
    with open(given.table or sys.stdout.fileno(), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns(classifier.classes, classifier.attributes))
        for row, reason in rows(classifier, paths):
            unreadable += reason != ""
            writer.writerow(row)
    sys.exit(1 if unreadable else 0)


if __name__ == "__main__":
    main()
