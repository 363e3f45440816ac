"""A whole session through a browser: photographs, cells, decisions, the differential, adapt, once more.

    python benchmarks/review_session.py <run>/model.ckpt <pbc>/val

The photographs are mosaics of six crops each, sampled evenly over the classes and in the colours of another
stain (STAIN), so that the true class of what is found at a place is known.  Cells of the first slide are
found and named by `wbc predict`, and reviewed in Chromium by `--decisions` keys, in `--order`; the keys are
those of the true classes.  `wbc adapt` refits the model to what was exported; the second slide, of which
nothing was reviewed, is named by the old model and by the new one.  Prints what came of it and writes
outputs/benchmarks/review_session.json.  Needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from wbc.datasets.class_folders import image_files
from wbc.images.decode import decode, resize
from wbc.labels import CLASSES
from wbc.reviewing.order import ORDERS
from wbc.settings.run_folder import versions
from wbc.utils.files import read_json, write_json

OUTPUT = Path("outputs/benchmarks/review_session.json")
SIDE, ACROSS, DOWN = 360, 3, 2  # of a crop, and crops of a photograph
STAIN = (0.75, 0.9, 1.25)  # exponents of red, green and blue, of 0 to 1
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def write_slides(crops: Path, folder: Path, photographs: int, seed: int) -> dict[str, list[str]]:
    """`photographs` in each of two slides; photograph -> the classes of its places, row by row."""
    chance = random.Random(seed)
    of_class = {name: image_files(crops / name) for name in CLASSES}
    for files in of_class.values():
        chance.shuffle(files)
    true: dict[str, list[str]] = {}
    for number in range(2 * photographs):
        classes = [CLASSES[(number * ACROSS * DOWN + place) % len(CLASSES)] for place in range(ACROSS * DOWN)]
        tiles = [resize(decode(of_class[name].pop()), SIDE) for name in classes]
        rows = [np.concatenate(tiles[row * ACROSS : (row + 1) * ACROSS], axis=1) for row in range(DOWN)]
        whole = (np.concatenate(rows) / 255.0) ** np.array(STAIN)
        path = folder / f"slide_{1 + number // photographs}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((255 * whole).round().astype(np.uint8)).save(path)
        true[str(path)] = classes
    return true


def wbc(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "wbc", *words], check=True, capture_output=True, text=True)


def named(answers: Path, true: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Prediction and true class of each cell that was found."""
    with (answers / "cells.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["prediction"], true[row["photograph"]][place(row)]) for row in rows]


def place(row: dict[str, str]) -> int:
    """Which crop of its photograph the middle of a cell is in."""
    x, y = ((int(row[f"{axis}0"]) + int(row[f"{axis}1"])) // 2 for axis in "xy")
    return ACROSS * (y // SIDE) + x // SIDE


def accuracy(cells: list[tuple[str, str]]) -> float:
    return sum(prediction == true for prediction, true in cells) / len(cells)


def decide(page: Page, address: str, truth: list[str], decisions: int, order: str) -> None:
    """Press the key of the true class of the cell in question, and look at what the page makes of it."""
    page.goto(address)
    page.fill("#name", "Reviewer")
    page.keyboard.press("Enter")
    expect(page.locator("#where")).to_contain_text(f"of {len(truth)} cells")
    page.select_option("select[name=order]", order)
    page.wait_for_timeout(1000)
    for count in range(1, decisions + 1):
        cell = int(page.locator(".tile.current").get_attribute("data-cell"))
        page.keyboard.press(str(1 + CLASSES.index(truth[cell])))
        expect(page.locator("#progress-text")).to_contain_text(f"{count} of {len(truth)} looked at")
    page.wait_for_timeout(1000)
    page.screenshot(path=str(OUTPUT.with_suffix(".png")))
    page.click("#export")
    expect(page.locator("#exported")).to_be_visible(timeout=60_000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--photographs", type=int, default=20, help="of each slide")
    parser.add_argument("--decisions", type=int, default=30)
    parser.add_argument("--order", default="doubt", choices=ORDERS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        true = write_slides(given.crops, folder, given.photographs, given.seed)
        model = f"checkpoint={given.checkpoint}"
        for slide in (1, 2):
            places = [f"images={folder / f'slide_{slide}'}", f"output={folder / f'old_{slide}'}"]
            wbc("predict", model, *places, "fields=true")
        first = named(folder / "old_1", true)
        command = [sys.executable, "-m", "wbc", "review", f"predictions={folder / 'old_1'}", "port=0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            told = (re.search(r"review: (http\S+)", line) for line in server.stdout)
            address = next(found[1] for found in told if found)
            with sync_playwright() as playwright:
                executable = next(filter(None, map(shutil.which, BROWSERS)))
                browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                decide(page, address, [cell[1] for cell in first], given.decisions, given.order)
                browser.close()
        finally:
            server.terminate()
            server.wait()
        review = folder / "old_1" / "review"
        counted = read_json(review / "differential.json")["total"]
        wbc("adapt", model, f"data={review / 'labelled.csv'}", f"hydra.run.dir={folder / 'adapted'}")
        comparison = (folder / "adapted" / "adapt.log").read_text()
        wbc(
            *("predict", f"checkpoint={folder / 'adapted' / 'model.ckpt'}", f"images={folder / 'slide_2'}"),
            *(f"output={folder / 'new_2'}", "fields=true"),
        )
        second = {pass_: named(folder / f"{pass_}_2", true) for pass_ in ("old", "new")}
    result = {
        "cells": {"slide 1": given.photographs * ACROSS * DOWN, "found": len(first)},
        "right on slide 1": accuracy(first),
        "decisions": given.decisions,
        "changed": counted["changed"],
        "true": {name: sum(cell[1] == name for cell in first) for name in CLASSES},
        "program": {name: one["count"] for name, one in counted["machine"]["classes"].items()},
        "reviewed": {name: one["count"] for name, one in counted["reviewed"]["classes"].items()},
        "helped": "refitting the head helped" in comparison,
        "right on slide 2, old model": accuracy(second["old"]),
        "right on slide 2, adapted": accuracy(second["new"]),
        "found on slide 2": len(second["new"]),
    }
    for key, value in result.items():
        print(f"{key}: {value}")
    write_json(OUTPUT, result | {"versions": versions()})


if __name__ == "__main__":
    main()
