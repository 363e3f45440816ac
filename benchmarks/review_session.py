"""A whole session through a browser: photographs, cells, decisions, the differential, adapt, once more.

    python benchmarks/review_session.py <run>/model.ckpt <pbc>/val

The photographs are mosaics of six crops each, in the colours of another stain (STAIN), so that the true
class of what is found at a place is known.  --shares: of the classes, even, or those of a healthy adult.
Cells of the first slide are found and named by `wbc predict`, and reviewed in Chromium by `--decisions` keys,
in `--order`; the keys are those of the true classes.  `wbc adapt` refits the model to what was exported, by
each of WAYS of telling it the lab's mix; the second slide, of which nothing was reviewed, is named by the old
model and by the new ones.  Prints what came of it and writes
outputs/benchmarks/review_session_<shares>_<order>_<seed>.json.  Needs playwright and a Chromium.
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
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from sklearn.metrics import f1_score

from wbc.datasets.class_folders import image_files
from wbc.images.decode import decode, resize
from wbc.labels import CLASSES
from wbc.reviewing.order import ORDERS
from wbc.settings.run_folder import versions
from wbc.utils.files import read_json, write_json

OUTPUT = Path("outputs/benchmarks")
SIDE, ACROSS, DOWN = 360, 3, 2  # of a crop, and crops of a photograph
STAIN = (0.75, 0.9, 1.25)  # exponents of red, green and blue, of 0 to 1
SHARES = {  # of Basophil, Eosinophil, Lymphocyte, Monocyte, Neutrophil
    "even": (0.2, 0.2, 0.2, 0.2, 0.2),
    "healthy": (0.01, 0.03, 0.30, 0.06, 0.60),
}
# Of telling `wbc adapt` the lab's mix: not; estimated from all cells of the slide; as the review counts them.
ALONE, UNLABELLED, REVIEWED = "cells alone", "unlabelled", "reviewed mix"
WAYS = (ALONE, UNLABELLED, REVIEWED)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def write_slides(
    crops: Path, folder: Path, photographs: int, shares: tuple[float, ...], seed: int
) -> dict[str, list[str]]:
    """`photographs` in each of two slides; photograph -> the classes of its places, row by row."""
    chance = random.Random(seed)
    of_class = {name: image_files(crops / name) for name in CLASSES}
    for files in of_class.values():
        chance.shuffle(files)
    true: dict[str, list[str]] = {}
    places = ACROSS * DOWN
    for slide in (1, 2):
        classes = [
            name
            for name, share in zip(CLASSES, shares, strict=True)
            for _ in range(round(share * places * photographs))
        ]
        chance.shuffle(classes)
        for number in range(photographs):
            of_one = classes[number * places : (number + 1) * places]
            tiles = [resize(decode(of_class[name].pop()), SIDE) for name in of_one]
            rows = [np.concatenate(tiles[row * ACROSS : (row + 1) * ACROSS], axis=1) for row in range(DOWN)]
            whole = (np.concatenate(rows) / 255.0) ** np.array(STAIN)
            path = folder / f"slide_{slide}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((255 * whole).round().astype(np.uint8)).save(path)
            true[str(path)] = of_one
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


def figures(cells: list[tuple[str, str]]) -> dict[str, Any]:
    """Accuracy, macro F1, and how far the counted shares are from the true ones."""
    predictions, true = ([cell[part] for cell in cells] for part in (0, 1))
    off = sum(abs(predictions.count(name) - true.count(name)) for name in CLASSES) / 2 / len(cells)
    return {
        "cells": len(cells),
        "accuracy": accuracy(cells),
        "macro F1": float(f1_score(true, predictions, average="macro")),
        "share counted in the wrong class": off,
    }


def passed(answers: Path, true: dict[str, list[str]], metrics: dict[str, Any]) -> dict[str, Any]:
    """How the second slide was named, and what `wbc adapt` had said before."""
    intervals = metrics["cross_validation"]["intervals"]
    expected = {when: intervals[when]["accuracy"]["estimate"] for when in ("before", "after")}
    told = {"verdict": metrics["verdict"], "mix": metrics["mix"], "cross-validated": expected}
    return figures(named(answers, true)) | told


def way_words(way: str, answers: Path, counted: dict[str, Any]) -> list[str]:
    """What `wbc adapt` is told beside the cells."""
    if way == UNLABELLED:
        return [f"unlabelled={answers / 'predictions.csv'}"]
    if way == REVIEWED:
        counts = ", ".join(f"{name}: {one['count']}" for name, one in counted["reviewed"]["classes"].items())
        return [f"mix={{{counts}}}"]
    return []


def decide(page: Page, address: str, truth: list[str], decisions: int, order: str, picture: Path) -> None:
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
    page.screenshot(path=str(picture))
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
    parser.add_argument("--shares", default="even", choices=SHARES)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    output = OUTPUT / f"review_session_{given.shares}_{given.order}_{given.seed}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        true = write_slides(given.crops, folder, given.photographs, SHARES[given.shares], given.seed)
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
                truth = [cell[1] for cell in first]
                decide(page, address, truth, given.decisions, given.order, output.with_suffix(".png"))
                browser.close()
        finally:
            server.terminate()
            server.wait()
        review = folder / "old_1" / "review"
        counted = read_json(review / "differential.json")["total"]
        old = named(folder / "old_2", true)
        ways = {}
        for number, way in enumerate(WAYS):
            run, answers = folder / f"adapted_{number}", folder / f"new_{number}"
            words = [f"data={review / 'labelled.csv'}", *way_words(way, folder / "old_1", counted)]
            wbc("adapt", model, *words, f"hydra.run.dir={run}")
            told = [f"images={folder / 'slide_2'}", f"output={answers}", "fields=true"]
            wbc("predict", f"checkpoint={run / 'model.ckpt'}", *told)
            ways[way] = passed(answers, true, read_json(run / "metrics.json"))
    result = {
        "cells": {"slide 1": given.photographs * ACROSS * DOWN, "found": len(first)},
        "right on slide 1": accuracy(first),
        "decisions": given.decisions,
        "changed": counted["changed"],
        "true": {name: sum(cell[1] == name for cell in first) for name in CLASSES},
        "program": {name: one["count"] for name, one in counted["machine"]["classes"].items()},
        "reviewed": {name: one["count"] for name, one in counted["reviewed"]["classes"].items()},
        "labelled": {name: counted["seen"]["classes"][name]["count"] for name in CLASSES},
        "old model on slide 2": figures(old),
        "adapted": ways,
    }
    for key, value in result.items():
        print(f"{key}: {value}")
    write_json(output, result | {"versions": versions()})


if __name__ == "__main__":
    main()
