"""A table of the Barcelona cells with more classes than five, for `data=manifest`.

    python benchmarks/pbc_classes.py <pbc> <table.csv> --bands --other <pbc_other> --train 2000 --val 1000

bands: band and segmented neutrophils are classes of their own, as the file names tell (BNE_, SNE_), and
neutrophils with neither name are left out.  other: immature granulocytes, erythroblasts and platelets too, a
third of them for the test.  train, val: images sampled from <pbc>/train, the others are left out; the test is
<pbc>/val.  conf/train/experiment/pbc_levels.yaml learns from such a table.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wbc.datasets.class_folders import image_files
from wbc.labels import CLASSES
from wbc.utils.files import replacing
from wbc.utils.text_tables import markdown_table

STAGES = {"BNE": "Band", "SNE": "Segmented"}
OTHER = {"ig": "Immature", "erythroblast": "Erythroblast", "platelet": "Platelet"}
OTHER_SPLITS = ("test", "val", "train", "test", "train", "train")  # of these, one after another


def cells(folder: Path, bands: bool) -> Iterator[tuple[Path, str]]:
    """Each image of class folders with its label, "" for a neutrophil that may be either."""
    for name in CLASSES:
        for path in map(Path, image_files(folder / name)):
            staged = bands and name == "Neutrophil"
            yield path, STAGES.get(path.name.split("_")[0], "") if staged else name


def split_rows(
    pbc: Path, other: Path | None, bands: bool, train: int, val: int, seed: int
) -> Iterator[tuple[Path, str, str]]:
    """Path, label and split of each image that is used; label "" for what has none."""
    found = list(cells(pbc / "train", bands))
    rest = [(path, label, "test") for path, label in cells(pbc / "val", bands)]
    for folder, label in OTHER.items() if other else ():
        assert other is not None
        paths = map(Path, image_files(other / folder))
        rest += [
            (path, label, split) for path, split in zip(paths, itertools.cycle(OTHER_SPLITS), strict=False)
        ]
    order = np.random.default_rng(seed).permutation(len(found))
    for place, split in zip(order[: train + val], ["train"] * train + ["val"] * val, strict=False):
        yield (*found[place], split)
    yield from rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pbc", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--bands", action="store_true")
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--val", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    asked.table.parent.mkdir(parents=True, exist_ok=True)
    with replacing(asked.table) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for path, label, split in split_rows(
            asked.pbc, asked.other, asked.bands, asked.train, asked.val, asked.seed
        ):
            counts[label or "left out: neither BNE_ nor SNE_", split] += 1
            if label:
                writer.writerow([path.absolute(), label, split])
    splits = ["train", "val", "test"]
    labels = sorted({label for label, _ in counts})
    rows = [[label, *(counts[label, split] for split in splits)] for label in labels]
    print(markdown_table(["", *splits], rows))


if __name__ == "__main__":
    main()
