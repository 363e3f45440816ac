"""How many cells have to be looked at until the differential is right, by the order in which they are shown.

    python benchmarks/review_order.py <folder of wbc predict> [<another>] [--table cells.csv]

The folders of the images spell their true classes, as in <pbc>/val.  --table: whose images (column path) are
left out: those that the model was trained and fitted on.

Of each folder `--slides` slides of `--cells` cells are sampled with the shares of a healthy adult (MIX).  A
perfect reviewer goes through each in every order; the differential is right once the share of every class
lies within the exact 95 % interval of the true share, and stays there.
  doubt         as the page shows them: unanswered first, then by risk
  risk          without regard to the status
  probability   least probable first
  random        sampled

Prints a Markdown table and writes outputs/benchmarks/review_order.json.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from wbc.labels import ClassNames
from wbc.metrics.intervals import exact_interval
from wbc.reviewing.cells import Cells, read_cells
from wbc.reviewing.order import review_order, risk
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.progress import progress
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/review_order.json")
# Shares of white cells in the blood of a healthy adult, the middle of usual reference ranges.
MIX = {"Basophil": 0.01, "Eosinophil": 0.03, "Lymphocyte": 0.30, "Monocyte": 0.06, "Neutrophil": 0.60}
ORDERS = {
    "doubt": lambda cells, rng: review_order(cells),
    "risk": lambda cells, rng: np.argsort(-risk(cells), kind="stable"),
    "probability": lambda cells, rng: np.argsort(cells.confidence, kind="stable"),
    "random": lambda cells, rng: rng.permutation(len(cells)),
}


def truth(cells: Cells) -> np.ndarray:
    """(N,) the class that an image's folder spells."""
    names = ClassNames(cells.classes)
    spelt = [names.find(Path(path).parent.name) for path in cells.paths.to_pylist()]
    if None in spelt:
        raise SystemExit(
            f"{cells.path(spelt.index(None))}: its folder spells none of {', '.join(cells.classes)}"
        )
    return np.array([cells.classes.index(name) for name in spelt])


def subset(cells: Cells, rows: np.ndarray) -> Cells:
    """What an order looks at."""
    return replace(
        cells,
        prediction=cells.prediction[rows],
        probabilities=cells.probabilities[rows],
        status=cells.status[rows],
    )


def limits(true: np.ndarray, classes: int) -> np.ndarray:
    """(2, C) counts between which each class is right."""
    counts = np.bincount(true, minlength=classes)
    intervals = [exact_interval(int(count), len(true)) for count in counts]
    return len(true) * np.array([[one.low for one in intervals], [one.high for one in intervals]])


def needed(predicted: np.ndarray, true: np.ndarray, order: np.ndarray, classes: int) -> tuple[int, int]:
    """Cells seen until the differential is right and stays so, and until the last wrong name is found."""
    steps = np.zeros((len(order) + 1, classes), int)
    steps[0] = np.bincount(predicted, minlength=classes)
    rows = np.arange(1, len(order) + 1)
    np.add.at(steps, (rows, predicted[order]), -1)
    np.add.at(steps, (rows, true[order]), 1)
    counts = steps.cumsum(axis=0)
    low, high = limits(true, classes)
    wrong = np.flatnonzero(((counts < low) | (counts > high)).any(axis=1))
    errors = np.flatnonzero(predicted[order] != true[order])
    return (int(wrong[-1]) + 1 if len(wrong) else 0), (int(errors[-1]) + 1 if len(errors) else 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--table", type=Path, help="whose images are left out")
    parser.add_argument("--slides", type=int, default=200)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    left_out: set[str] = set()
    if given.table:
        with given.table.open(encoding="utf-8", newline="") as file:
            left_out = {row["path"] for row in csv.DictReader(file)}
    rows, record = [], {"versions": versions(), "mix": MIX, "cells": given.cells, "slides": given.slides}
    for folder in given.folders:
        cells = read_cells(folder, "predictions.csv")
        true, classes = truth(cells), len(cells.classes)
        pool = np.array([path not in left_out for path in cells.paths.to_pylist()])
        of_class = [np.flatnonzero((true == place) & pool) for place in range(classes)]
        shares = np.array(
            [MIX[name] if len(some) else 0 for name, some in zip(cells.classes, of_class, strict=True)]
        )
        rng = np.random.default_rng(given.seed)
        found: dict[str, list[tuple[int, int]]] = {name: [] for name in ORDERS}
        right = []
        for _ in progress(range(given.slides), folder.name, "slide"):
            wanted = rng.choice(classes, given.cells, p=shares / shares.sum())
            slide = np.array([rng.choice(of_class[place]) for place in wanted])  # with repetition
            one = subset(cells, slide)
            right.append((one.prediction == true[slide]).mean())
            for name, order in ORDERS.items():
                found[name].append(needed(one.prediction, true[slide], order(one, rng), classes))
        numbers = {name: np.array(values) for name, values in found.items()}
        record[folder.name] = {name: values.tolist() for name, values in numbers.items()}
        for name, values in numbers.items():
            median, most = np.quantile(values, [0.5, 0.9], axis=0)
            rows.append(
                [
                    *((folder.name, f"{100 * np.mean(right):.1f}") if name == "doubt" else ("", "")),
                    name,
                    f"{values[:, 0].mean():.0f}",
                    *(f"{median[0]:.0f}", f"{most[0]:.0f}"),
                    *(f"{values[:, 1].mean():.0f}", f"{most[1]:.0f}"),
                ]
            )
    headers = [
        "slides of",
        "% right",
        "order",
        "until right",
        "median",
        "9 of 10 slides",
        "until no error",
        "9 of 10",
    ]
    print(markdown_table(headers, rows))
    write_json(OUTPUT, record)


if __name__ == "__main__":
    main()
