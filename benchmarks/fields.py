"""How many white cells of photographs are found, and what else is taken for one.

    python benchmarks/fields.py <annotated> <without> [--crops <folder> ...] [--drawn 100]

<annotated>: photographs and boxes.csv (file, x0, y0, x1, y1, label: white or red).  A cell is found where a
box overlaps its own by half (common area over that of both).  <without>: photographs without white cells.
--crops: folders of crops of one cell, 300 drawn of each, as small photographs: how often the cell that
`find_cell` sees in the middle is found, and how many boxes are beside it, of which neighbours and platelets
are some.  --drawn: so many photographs drawn of each of three kinds: of the two drawn labs that are kept for
tests, and each of another random lab; as many at lower and at higher magnification; and as many in which
cells touch two by two.  Times are of one core.
Prints Markdown tables, writes outputs/benchmarks/fields.json.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from train_step import machine

from wbc.datasets.class_folders import image_files
from wbc.errors import ImageError
from wbc.images.boxes import Box
from wbc.images.cell_finder import find_cell
from wbc.images.decode import decode
from wbc.images.white_cells import WhiteCell, find_white_cells
from wbc.labels import CLASSES
from wbc.settings.run_folder import versions
from wbc.synthetic.field import draw_field
from wbc.synthetic.labs import LABS, random_lab, smear_of
from wbc.synthetic.varied import VARIANTS
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/fields.json")
CROPS = 300
SEED = 2  # of draws that the finder was not chosen by
SIZES = ((640, 480), (720, 576))
# Pixels a micrometre, least and most, and the most cells in a photograph.
MAGNIFICATIONS = ((5.0, 11.0, 7), (2.5, 5.0, 7), (11.0, 16.0, 3))
PAIRS = (5.0, 11.0, 4)  # likewise, where cells touch two by two
IN_BLOOD = (0.05, 0.1, 0.3, 0.1, 0.45)  # in the order of CLASSES, rare ones a little more often


def overlap(one: Box, other: Box) -> float:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    common = max(across, 0) * max(down, 0)
    areas = (one.x1 - one.x0) * (one.y1 - one.y0) + (other.x1 - other.x0) * (other.y1 - other.y0)
    return common / (areas - common)


def timed(picture: np.ndarray, seconds: list[float]) -> list[WhiteCell]:
    started = time.perf_counter()
    found = find_white_cells(picture)
    seconds.append(time.perf_counter() - started)
    return found


def compared(name: str, photographs: Iterable[tuple[str, np.ndarray, list[Box]]]) -> dict[str, Any]:
    """photographs: name, picture and true boxes of each."""
    count = true = hits = found = 0
    missed: list[tuple[Any, ...]] = []
    seconds: list[float] = []
    for file, picture, boxes in photographs:
        left = list(boxes)
        for cell in timed(picture, seconds):
            found += 1
            best = max(left, key=lambda box: overlap(cell.box, box), default=None)
            if best is not None and overlap(cell.box, best) >= 0.5:
                left.remove(best)
                hits += 1
        missed += [(file, *box) for box in left]
        count, true = count + 1, true + len(boxes)
    return {
        "set": name,
        "photographs": count,
        "white cells": true,
        "found": found,
        "recall": hits / true,
        "precision": hits / found if found else None,
        "ms": 1000 * median(seconds),
        "missed": missed,
    }


def annotated(folder: Path) -> dict[str, Any]:
    true: dict[str, list[Box]] = defaultdict(list)
    with (folder / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            if row["label"] == "white":
                edges = [round(float(row[name])) for name in ("x0", "y0", "x1", "y1")]
                true[row["file"]].append(Box(*edges))
    paths = [Path(path) for path in image_files(folder)]
    return compared(folder.name, ((path.name, decode(path), true[path.name]) for path in paths))


def drawn(
    kind: str, count: int, least: float, most: float, cells: int, *, touching: bool = False
) -> dict[str, Any]:
    """Photographs of one to `cells`, as unequal as in blood, at `least` to `most` pixels a micrometre.

    touching: of `cells` each, two by two.
    """

    def photographs() -> Iterator[tuple[str, np.ndarray, list[Box]]]:
        for number in range(count):
            rng = np.random.default_rng([SEED, number, zlib.crc32(kind.encode())])
            lab = smear_of(LABS[kind], rng) if kind in LABS else random_lab(rng)
            some = cells if touching else rng.integers(1, cells + 1)
            labels = rng.choice(CLASSES, some, p=IN_BLOOD).tolist()
            size = SIZES[number % len(SIZES)]
            scale = float(rng.uniform(least, most))
            field = draw_field(labels, lab, rng, size, scale, VARIANTS, in_pairs=touching)
            yield str(number), field.picture, field.boxes

    pairs = ", pairs that touch" if touching else ""
    return compared(f"drawn, {kind}, {least:g} to {most:g} px/µm{pairs}", photographs())


def without(folder: Path) -> dict[str, Any]:
    seconds: list[float] = []
    counts = [len(timed(decode(path), seconds)) for path in image_files(folder)]
    return {
        "set": folder.name,
        "photographs": len(counts),
        "white cells": 0,
        "found": sum(counts),
        "recall": None,
        "precision": None,
        "ms": 1000 * median(seconds),
    }


def crops(folder: Path) -> dict[str, Any]:
    paths = image_files(folder)
    middle = hits = beside = 0
    for path in random.Random(0).sample(paths, min(CROPS, len(paths))):
        try:
            picture = decode(path)
        except ImageError:
            continue
        cell = find_cell(picture)
        if cell is None:
            continue
        middle += 1
        x, y = cell.centre
        boxes = [one.box for one in find_white_cells(picture)]
        there = [box for box in boxes if box.x0 <= x < box.x1 and box.y0 <= y < box.y1]
        hits += bool(there)
        beside += len(boxes) - len(there[:1])
    return {"set": "/".join(folder.parts[-2:]), "cells": middle, "found": hits, "boxes beside": beside}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotated", type=Path)
    parser.add_argument("without", type=Path)
    parser.add_argument("--crops", type=Path, nargs="*", default=[])
    parser.add_argument("--drawn", type=int, default=0)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    fields = [annotated(given.annotated), without(given.without)]
    if given.drawn:
        kinds = ("lab_e", "lab_f", "random labs")
        fields += [drawn(kind, given.drawn, *seen) for seen in MAGNIFICATIONS for kind in kinds]
        fields += [drawn(kind, given.drawn, *PAIRS, touching=True) for kind in kinds]
    shown = ["set", "photographs", "white cells", "found", "recall", "precision", "ms"]
    rows = [
        [str(row[name]) for name in shown[:4]]
        + ["–" if row[name] is None else f"{row[name]:.3g}" for name in shown[4:]]
        for row in fields
    ]
    print(markdown_table(shown, rows), "\n")
    of_crops = [crops(folder) for folder in given.crops]
    if of_crops:
        print(markdown_table(list(of_crops[0]), [[str(value) for value in row.values()] for row in of_crops]))
    record = {"machine": machine(), "versions": versions(), "fields": fields, "crops": of_crops}
    write_json(OUTPUT, record)


if __name__ == "__main__":
    main()
