"""How many white cells of photographs are found, and what else is taken for one.

    python benchmarks/fields.py <annotated> <without> [--crops <folder> ...]

<annotated>: photographs and boxes.csv (file, x0, y0, x1, y1, label: white or red).  A cell is found where a
box overlaps its own by half (common area over that of both).  <without>: photographs without white cells.
--crops: folders of crops of one cell, 300 drawn of each, as small photographs: how often the cell that
`find_cell` sees in the middle is found, and how many boxes are beside it, of which neighbours and platelets
are some.  Times are of one core.  Prints Markdown tables, writes outputs/benchmarks/fields.json.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import cv2
from train_step import machine

from wbc.datasets.class_folders import image_files
from wbc.errors import ImageError
from wbc.images.boxes import Box
from wbc.images.cell_finder import find_cell
from wbc.images.decode import decode
from wbc.images.white_cells import WhiteCell, find_white_cells
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/fields.json")
CROPS = 300


def overlap(one: Box, other: Box) -> float:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    common = max(across, 0) * max(down, 0)
    areas = (one.x1 - one.x0) * (one.y1 - one.y0) + (other.x1 - other.x0) * (other.y1 - other.y0)
    return common / (areas - common)


def timed(path: Path, seconds: list[float]) -> list[WhiteCell]:
    picture = decode(path)
    started = time.perf_counter()
    found = find_white_cells(picture)
    seconds.append(time.perf_counter() - started)
    return found


def annotated(folder: Path) -> dict[str, Any]:
    true: dict[str, list[Box]] = defaultdict(list)
    with (folder / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            if row["label"] == "white":
                edges = [round(float(row[name])) for name in ("x0", "y0", "x1", "y1")]
                true[row["file"]].append(Box(*edges))
    hits, found, missed, seconds = 0, 0, [], []
    photographs = [Path(path) for path in image_files(folder)]
    for path in photographs:
        left = list(true[path.name])
        for cell in timed(path, seconds):
            found += 1
            best = max(left, key=lambda box: overlap(cell.box, box), default=None)
            if best is not None and overlap(cell.box, best) >= 0.5:
                left.remove(best)
                hits += 1
        missed += [(path.name, *box) for box in left]
    return {
        "set": folder.name,
        "photographs": len(photographs),
        "white cells": sum(map(len, true.values())),
        "found": found,
        "recall": hits / sum(map(len, true.values())),
        "precision": hits / found,
        "ms": 1000 * median(seconds),
        "missed": missed,
    }


def without(folder: Path) -> dict[str, Any]:
    seconds: list[float] = []
    counts = [len(timed(Path(path), seconds)) for path in image_files(folder)]
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
    given = parser.parse_args()
    cv2.setNumThreads(1)
    fields = [annotated(given.annotated), without(given.without)]
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
