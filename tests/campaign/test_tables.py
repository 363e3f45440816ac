"""Damaged tables: read or refused in one sentence."""

import functools
import random
from pathlib import Path

import pytest

from tests.helpers.apart import complaints
from tests.helpers.mutations import damaged
from wbc.datasets.image_list import ImageList, write_list
from wbc.datasets.manifest import read_csv
from wbc.errors import WbcError
from wbc.labels import CLASSES, ClassNames

pytestmark = pytest.mark.slow

TABLES = 200
LIMIT_S, LIMIT_GIB = 20, 1
ROWS = [f"cells/{number}.png,{CLASSES[number % 5]},train,slide {number // 3}" for number in range(20)]
GOOD = [
    "\n".join(["path,label,split,group", *ROWS]).encode(),
    b"\xef\xbb\xbf" + "\r\n".join(["path;label;split;group", *ROWS]).replace(",", ";").encode(),
    "\n".join(["path\tlabel\tsplit\tgroup", *ROWS]).replace(",", "\t").encode("utf-16"),
    "\n".join(
        ["path,label,split,group", *(f'"{row.replace(",", chr(34) + "," + chr(34))}"' for row in ROWS)]
    ).encode(),
    "\n".join(row.split(",")[0] for row in ROWS).encode(),
    "\n".join(
        [
            "path,label,split,group,x0,y0,x1,y1",
            *(f"{row},{n},{n + 1},{n + 30},{n + 40}" for n, row in enumerate(ROWS)),
        ]
    ).encode(),
    "\n".join(
        [
            "filename,class,xmin,ymin,xmax,ymax",
            *(f"photo.jpg,{CLASSES[n % 5]},{n},1,{n + 30},40" for n in range(20)),
        ]
    ).encode(),
]


def read(folder: Path, number: int) -> str | None:
    rng = random.Random(f"table {number}")
    content = damaged(rng.choice(GOOD), rng)
    for suffix in (".csv", ".txt"):
        file = folder / f"{number}{suffix}"
        file.write_bytes(content)
        listed = folder / f"{number}{suffix}.jsonl"
        try:
            write_list(str(file), rng.choice((None, "folder", "group")), listed)
            images = ImageList(listed, 7)
            assert sum(len(images.batch(batch)) for batch in range(len(images))) == images.images > 0
        except WbcError as error:
            if listed.exists() or not str(error):
                return f"a list was left: {error}"
    try:
        frame = read_csv(folder / f"{number}.csv", ClassNames(CLASSES), "lab")
        assert set(frame["label"]) <= set(CLASSES)
    except WbcError as error:
        return None if str(error) else "no reason"
    return None


def test_a_damaged_table_is_read_or_refused(tmp_path):
    found = complaints(functools.partial(read, tmp_path), TABLES, LIMIT_S, LIMIT_GIB)
    assert not found, "\n".join(found)
