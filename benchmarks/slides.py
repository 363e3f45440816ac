"""The white cells of a whole slide that no memory could hold: seconds, memory, and cells lost or doubled.

    python benchmarks/slides.py [--side 100000] [--stained 0.02]

The slide is drawn on the fly, at 0.25 um/px: a band of smear, --stained of its area, in which one patch is
repeated, and bare glass.  The white cells are known.  What is timed is all before the network: finding in
tiles, and joining what neighbours have in common.  Prints a Markdown table, writes
outputs/benchmarks/slides.json.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from train_step import machine

from wbc.images.boxes import Box
from wbc.images.slide_tiles import tiles_of
from wbc.predicting.slide_search import cells_of_slide
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/slides.json")
PATCH = 1500  # px a side
GLASS, RED, PALE, PLASMA, NUCLEUS = (
    (226, 216, 206),
    (205, 148, 150),
    (218, 180, 178),
    (205, 196, 216),
    (92, 58, 140),
)
PLACES = ((200, 250), (900, 300), (600, 800), (1250, 1000), (350, 1200))  # of white cells in the patch


def patch() -> np.ndarray:
    """(PATCH, PATCH, 3) uint8: red cells of 15 px radius, 3.75 um, and white ones of twice the size."""
    rng = np.random.default_rng(0)
    picture = np.full((PATCH, PATCH, 3), GLASS, np.uint8)
    for y in range(25, PATCH - 20, 40):
        for x in range(25, PATCH - 20, 40):
            middle = (x + int(rng.integers(-8, 9)), y + int(rng.integers(-8, 9)))
            if all(np.hypot(middle[0] - a, middle[1] - b) > 50 for a, b in PLACES):
                cv2.circle(picture, middle, 15, RED, cv2.FILLED, cv2.LINE_AA)
                cv2.circle(picture, middle, 5, PALE, cv2.FILLED, cv2.LINE_AA)
    for place in PLACES:
        cv2.circle(picture, place, 28, PLASMA, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(picture, place, 17, NUCLEUS, cv2.FILLED, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (3, 3), 0)


class Drawn:
    """A slide of `side` px; `bands` rows of patches, as wide as the slide, lie in its middle."""

    um_per_px = 0.25

    def __init__(self, side: int, stained: float) -> None:
        self.width = self.height = side
        self.patch = patch()
        self.across = side // PATCH
        self.bands = max(1, round(stained * side / PATCH))
        self.top = (side // PATCH - self.bands) // 2 * PATCH

    @property
    def places(self) -> np.ndarray:
        """(N, 2) x and y of all white cells."""
        corners = [
            (column * PATCH, self.top + row * PATCH)
            for row in range(self.bands)
            for column in range(self.across)
        ]
        return np.array([(x + a, y + b) for x, y in corners for a, b in PLACES])

    def region(self, box: Box, px: float = 1.0) -> np.ndarray:
        rows, columns = np.arange(box.y0, box.y1), np.arange(box.x0, box.x1)
        seen = self.patch[np.ix_(rows % PATCH, columns % PATCH)]
        seen[(rows < self.top) | (rows >= self.top + self.bands * PATCH)] = GLASS
        seen[:, columns >= self.across * PATCH] = GLASS
        shape = [max(1, round(side / px)) for side in (box.x1 - box.x0, box.y1 - box.y0)]
        return cv2.resize(seen, shape, interpolation=cv2.INTER_AREA)

    def overview(self, longest: int) -> np.ndarray:
        seen = np.full((longest, longest, 3), GLASS, np.uint8)
        shrink = longest / self.width
        seen[int(self.top * shrink) : int((self.top + self.bands * PATCH) * shrink) + 1] = self.patch.mean(
            (0, 1)
        )
        return seen


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=100_000)
    parser.add_argument("--stained", type=float, default=0.02)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    slide = Drawn(given.side, given.stained)
    before = resource.getrusage(resource.RUSAGE_SELF)
    tiles = tiles_of(slide, "drawn")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        cells = cells_of_slide("drawn", 0.0, Path(folder) / "part", slide)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    middles = np.array([((c.box.x0 + c.box.x1) / 2, (c.box.y0 + c.box.y1) / 2) for c in cells])
    true = {tuple(place): 0 for place in slide.places.tolist()}
    others = 0
    for x, y in middles:
        column, row = (np.array([x, y]) // PATCH * PATCH).astype(int)
        near = min(PLACES, key=lambda place: np.hypot(column + place[0] - x, row + place[1] - y))
        place = (int(column + near[0]), int(row + near[1]))
        if place in true and np.hypot(place[0] - x, place[1] - y) < 20:
            true[place] += 1
        else:
            others += 1
    row = {
        "slide": f"{given.side:,} x {given.side:,} px",
        "tiles": tiles.grid,
        "looked at": len(tiles.boxes),
        "white cells": len(true),
        "found": sum(count > 0 for count in true.values()),
        "twice": sum(count > 1 for count in true.values()),
        "others": others,
        "s": round(seconds, 1),
        "CPU s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "MB more at the peak": round((after.ru_maxrss - before.ru_maxrss) / 1024),
    }
    print(markdown_table(list(row), [[str(value) for value in row.values()]]))
    write_json(OUTPUT, {"machine": machine(), "versions": versions(), "slides": [row]})


if __name__ == "__main__":
    main()
