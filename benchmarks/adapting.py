"""What a refitted head makes of a lab's other cells, by how firmly it is held to the old one.

    python benchmarks/adapting.py <run folder> [<another seed's>] --labs test <jtsc>/images drawn.csv

Of each of `--labs`, given as to explain.py, `--per-class` cells of each class are drawn `--draws` times, the
head is refitted to them as adapt.py does, and measured on the lab's other cells:
  as it is          the old head
  a number          the refitted head of that strength
  chosen by folds   that of the strengths, or the old head, whose loss on cells held out is least
  as adapt.py       that of its strength where it helps on cells held out, else the old head

The first lab should be the model's own, where there is nothing to gain.  Prints a Markdown table of
accuracies, mean and standard deviation over draws and runs, and writes outputs/benchmarks/adapting.json.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from our_step import CONF
from torch import Tensor
from tqdm import tqdm

import wbc
from wbc.adapt_cells import different_views, lab_cells
from wbc.adapt_config import AdaptConfig
from wbc.adapt_report import Comparison
from wbc.config import parse_as
from wbc.device import one_thread
from wbc.files import write_json
from wbc.image_sources import find_images
from wbc.labels import ClassNames
from wbc.memory import keep_freed_memory
from wbc.network import Head
from wbc.refit_validation import LabCells, cell_losses, out_of_fold, refitted
from wbc.run_folder import MODEL, versions
from wbc.tables import markdown_table

OUTPUT = Path("outputs/benchmarks/adapting.json")
STRENGTHS = 1.0, 0.1, 0.01, 0.001, 0.0001
OLD, CHOSEN, AS_ADAPT = "as it is", "chosen by folds", "as adapt.py"


def cells_of(run: Path, lab: str, config: AdaptConfig) -> tuple[Head, LabCells, list[str]]:
    """The head of a run's model, all cells of a lab with their features, and the classes."""
    predictor = wbc.load(run / MODEL)
    rows = find_images(lab, ClassNames(predictor.classes), run / MODEL)
    if bool((rows["label"] == "").any()):
        raise SystemExit(f"{lab} has pictures of no class: give labelled ones, to be measured")
    labels = torch.tensor([predictor.classes.index(label) for label in rows["label"]])
    views = different_views(config.views, predictor.network.test_time)
    cells = lab_cells(predictor, rows["path"].tolist(), labels, views, config.batch_size)
    return predictor.network.head.cpu().requires_grad_(False), cells, list(predictor.classes)


def drawn(labels: Tensor, per_class: int, seed: int) -> Tensor:
    """(N,) of so many cells of each class, as adapt.py draws them of a lab."""
    mixed = pd.DataFrame({"label": labels.numpy()}).sample(frac=1, random_state=seed)
    used = torch.zeros(len(labels), dtype=torch.bool)
    used[list(mixed.groupby("label").head(per_class).index)] = True
    return used


def ways(head: Head, cells: LabCells, classes: list[str], config: AdaptConfig, seed: int) -> dict[str, Head]:
    """The head that each way leaves a lab with, by its few cells."""
    heads = {OLD: head} | {f"{one:g}": refitted(head, cells, one) for one in STRENGTHS}
    held_out = {OLD: cells.logits(head)}
    for one in STRENGTHS:
        held_out[f"{one:g}"] = out_of_fold(head, cells, one, config.folds, seed)
    losses = {way: float(cell_losses(logits, cells.labels).mean()) for way, logits in held_out.items()}
    usual = f"{config.strength:g}"
    helps = Comparison(held_out[OLD], held_out[usual], cells.labels, classes).helps()
    chosen = heads[min(losses, key=losses.__getitem__)]
    return heads | {CHOSEN: chosen, AS_ADAPT: heads[usual if helps else OLD]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--labs", nargs="+", required=True)
    parser.add_argument("--per-class", type=int, nargs="+", default=[4, 10])
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    keep_freed_memory()
    with initialize_config_dir(str(CONF / "adapt"), version_base="1.3"):
        config = parse_as(AdaptConfig, compose("adapt", ["checkpoint=", "data="]))
    found: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in options.runs:
        for lab in options.labs:
            head, cells, classes = cells_of(run, lab, config)
            grid = [(count, seed) for count in options.per_class for seed in range(options.draws)]
            for count, seed in tqdm(grid, f"refitting, {lab}", unit="draw"):
                used = drawn(cells.labels, count, seed)
                few, others = cells.part(used), cells.part(~used)
                with one_thread():
                    for way, one in ways(head, few, classes, config, seed).items():
                        right = others.logits(one).argmax(dim=1) == others.labels
                        found[lab, count][way].append(float(right.float().mean()))
    labels = list(next(iter(found.values())))
    rows = [
        [lab, count, *(f"{100 * mean(of[way]):.1f} ± {100 * stdev(of[way]):.1f}" for way in labels)]
        for (lab, count), of in found.items()
    ]
    print(markdown_table(["lab", "cells a class", *labels], rows))
    told = [{"lab": lab, "per_class": count, "accuracy": of} for (lab, count), of in found.items()]
    write_json(OUTPUT, {"versions": versions(), "runs": [str(run) for run in options.runs], "found": told})


if __name__ == "__main__":
    main()
