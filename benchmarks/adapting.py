"""What a refitted head makes of a lab's other cells, by how firmly it is held to the old one.

    python benchmarks/adapting.py <run folder> [<another seed's>] --labs test <jtsc>/images drawn.csv

Of each of `--labs`, given as to adapt.py and drawn from as there, `--per-class` cells of each class are taken
with each of `--draws` seeds; the head is refitted to them and measured on the lab's other cells:
  as it is          the old head
  a number          the refitted head of that strength
  chosen by folds   that of these, or the old head, whose loss on cells held out is least
  as adapt.py       that of adapt.py's strength where it helps on cells held out, else the old head

The first lab should be the model's own, where there is nothing to gain.  Prints a Markdown table of
accuracies, mean and standard deviation over draws and runs, and writes outputs/benchmarks/adapting.json.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import torch
from hydra import compose, initialize_config_dir
from our_step import CONF
from torch import Tensor
from tqdm import tqdm

import wbc
from wbc.adapting.cross_validation import LabCells, cell_losses, out_of_fold, refitted
from wbc.adapting.lab_cells import USED, cells_manifest, lab_cells, turned_copies
from wbc.adapting.report import Comparison
from wbc.answers.checkpoint import load_provenance
from wbc.answers.predictor import Predictor
from wbc.datasets.manifest import used_rows
from wbc.labels import names_of_model
from wbc.network.device import one_thread
from wbc.network.network import Head
from wbc.settings.adapt import AdaptConfig
from wbc.settings.layout import MODEL
from wbc.settings.parse import parse_as
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.memory import keep_freed_memory
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/adapting.json")
STRENGTHS = 1.0, 0.1, 0.01, 0.001, 0.0001
OLD, CHOSEN, AS_ADAPT = "as it is", "chosen by folds", "as adapt.py"


def drawn(
    config: AdaptConfig, predictor: Predictor, grid: list[tuple[int, int]]
) -> tuple[list, list[Tensor]]:
    """Paths and labels of a lab's cells, and for each number of cells a class and seed which (N,) are drawn.

    Raises SystemExit where none is left to measure on.
    """
    names = names_of_model(predictor.classes, load_provenance(config.checkpoint))
    tables = [
        used_rows(cells_manifest(replace(config, per_class=count, seed=seed), names)) for count, seed in grid
    ]
    masks = [torch.tensor((table["split"] == USED).to_numpy()) for table in tables]
    for (count, _), mask in zip(grid, masks, strict=True):
        if bool(mask.all()):
            raise SystemExit(f"{config.data}: with {count} cells a class none is left to measure on")
    return tables[0][["path", "label"]].to_numpy().tolist(), masks


def ways(head: Head, cells: LabCells, classes: list[str], config: AdaptConfig, seed: int) -> dict[str, Head]:
    """The head that each way leaves a lab with, by its few cells."""
    strengths = sorted({*STRENGTHS, config.strength}, reverse=True)
    heads = {OLD: head} | {f"{one:g}": refitted(head, cells, one) for one in strengths}
    held_out = {OLD: cells.logits(head)}
    for one in strengths:
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
    parser.add_argument("--per-class", type=int, nargs="+", default=[4, 10], help="2 or more")
    parser.add_argument("--draws", type=int, default=10, help="2 or more")
    options = parser.parse_args()
    if min(*options.per_class, options.draws) < 2:
        parser.error("--per-class and --draws: expected 2 or more")
    keep_freed_memory()
    with initialize_config_dir(str(CONF / "adapt"), version_base="1.3"):
        usual = parse_as(AdaptConfig, compose("adapt", ["checkpoint=", "data="]))
    grid = [(count, seed) for count in options.per_class for seed in range(options.draws)]
    found: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in options.runs:
        predictor = wbc.load(run / MODEL)
        classes = list(predictor.classes)
        copies = turned_copies(usual.views, predictor.views)
        for lab in options.labs:
            config = replace(usual, checkpoint=str(run / MODEL), data=lab)
            rows, masks = drawn(config, predictor, grid)
            labels = torch.tensor([classes.index(label) for _, label in rows])
            cells = lab_cells(predictor, [path for path, _ in rows], labels, copies, config.batch_size)
            head = predictor.network.head.cpu().requires_grad_(False)
            for (count, seed), used in zip(grid, tqdm(masks, f"refitting, {lab}", unit="draw"), strict=True):
                others = cells.part(~used)
                with one_thread():
                    for way, one in ways(head, cells.part(used), classes, config, seed).items():
                        right = others.logits(one).argmax(dim=1) == others.labels
                        found[lab, count][way].append(float(right.float().mean()))
    columns = list(next(iter(found.values())))
    table = [
        [lab, count, *(f"{100 * mean(of[way]):.1f} ± {100 * stdev(of[way]):.1f}" for way in columns)]
        for (lab, count), of in found.items()
    ]
    print(markdown_table(["lab", "cells a class", *columns], table))
    told = [{"lab": lab, "per_class": count, "accuracy": of} for (lab, count), of in found.items()]
    write_json(OUTPUT, {"versions": versions(), "runs": [str(run) for run in options.runs], "found": told})


if __name__ == "__main__":
    main()
