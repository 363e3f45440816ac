"""Which photographs are told to have a part in common, and whether their cells count once.

    python benchmarks/overlaps.py <annotated> <without> [--crops <folder> ...]

<annotated>, <without>: as in fields.py.  Every pair in a folder is compared, and of each folder of crops 60
that are drawn: pairs that are joined are listed, to be looked at, for nobody says which overlap.  Then the
photographs <without> are cut into two windows that share some of their width, each photographed anew in other
light, focus, noise and JPEG: how often the shift is found within 5 px.  Those of <annotated> are cut so that
half is shared, and cells of both windows are counted.  Prints Markdown tables, writes
outputs/benchmarks/overlaps.json.
"""

from __future__ import annotations

import argparse
import random
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from train_step import machine

from wbc.datasets.class_folders import image_files
from wbc.images.decode import decode
from wbc.images.registration import features_of, shift_between
from wbc.images.same_cells import Outlined, Overlap, same_cells
from wbc.images.white_cells import find_white_cells
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/overlaps.json")
SHARES = (0.1, 0.15, 0.2, 0.3, 0.5)
CROPS = 60


def photographed(part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same in other light, with another focus, darker corners, noise and JPEG's loss."""
    seen = part * rng.uniform(0.88, 1.12) * (1 + rng.normal(0, 0.02, 3))
    height, width = part.shape[:2]
    away = (np.arange(height)[:, None] / height - 0.5) ** 2 + (np.arange(width) / width - 0.5) ** 2
    seen *= 1 - 0.3 * away[..., None]
    seen = cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.3, 1.2)) + rng.normal(0, 3, part.shape)
    _, coded = cv2.imencode(".jpg", np.clip(seen, 0, 255).astype(np.uint8), (cv2.IMWRITE_JPEG_QUALITY, 85))
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))


def compared(name: str, paths: list[str]) -> dict[str, Any]:
    features = [features_of(decode(path)) for path in paths]
    started = time.perf_counter()
    pairs = list(combinations(range(len(paths)), 2))
    joined = []
    for one, other in pairs:
        shift = shift_between(features[one], features[other])
        if shift is not None:
            joined.append(
                [Path(paths[one]).name, Path(paths[other]).name, *(round(value) for value in shift)]
            )
    ms = 1000 * (time.perf_counter() - started) / len(pairs)
    return {
        "set": name,
        "pairs": len(pairs),
        "joined": len(joined),
        "ms a pair": round(ms, 1),
        "which": joined,
    }


def windows(paths: list[str], share: float, rng: np.random.Generator) -> dict[str, Any]:
    right = wrong = 0
    for path in paths:
        whole = decode(path)
        height, width = whole.shape[:2]
        across = int(width / (2 - share))
        one = photographed(whole[10 : height - 10, :across], rng)
        other = photographed(whole[2 : height - 18, width - across :], rng)
        shift = shift_between(features_of(one), features_of(other))
        if shift is not None:
            near = abs(shift.x - (width - across)) < 5 and abs(shift.y + 8) < 5
            right, wrong = right + near, wrong + (not near)
    return {"in common": f"{share:.0%}", "pairs": len(paths), "found": right, "wrong": wrong}


def counted(paths: list[str], rng: np.random.Generator) -> dict[str, Any]:
    whole = parts = once = registered = 0
    for path in paths:
        picture = decode(path)
        whole += len(find_white_cells(picture))
        width = picture.shape[1]
        across = 2 * width // 3
        halves = [photographed(one, rng) for one in (picture[:, :across], picture[:, width - across :])]
        cells = [[Outlined(cell.box, cell.at_border) for cell in find_white_cells(one)] for one in halves]
        shift = shift_between(*map(features_of, halves))
        overlaps = [] if shift is None else [Overlap(0, 1, round(shift.x), round(shift.y))]
        registered += shift is not None
        parts += sum(map(len, cells))
        once += sum(map(len, cells)) - len(same_cells(cells, overlaps))
    return {
        "photographs": len(paths),
        "cells in them": whole,
        "windows joined": registered,
        "cells in both windows": parts,
        "counted once": once,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotated", type=Path)
    parser.add_argument("without", type=Path)
    parser.add_argument("--crops", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    cv2.setNumThreads(1)
    annotated, without = image_files(given.annotated), image_files(given.without)
    rng = np.random.default_rng(0)
    pairs = [compared(given.annotated.name, annotated), compared(given.without.name, without)]
    for folder in given.crops:
        paths = image_files(folder)
        drawn = random.Random(0).sample(paths, min(CROPS, len(paths)))
        pairs.append(compared("/".join(folder.parts[-2:]), drawn))
    cut = [windows(without, share, rng) for share in SHARES]
    cells = [counted(annotated, rng)]
    for rows in ([{key: row[key] for key in row if key != "which"} for row in pairs], cut, cells):
        print(markdown_table(list(rows[0]), [[str(value) for value in row.values()] for row in rows]), "\n")
    record = {"machine": machine(), "versions": versions(), "pairs": pairs, "windows": cut, "cells": cells}
    write_json(OUTPUT, record)


if __name__ == "__main__":
    main()
