"""What a refitted head makes of a lab's other cells, by how firmly it is held to the old one.

    python benchmarks/adapting.py <run>/model.ckpt [<another seed's>] --labs test <jtsc>/images drawn.csv

Of each of `--labs`, given as to adapt.py and drawn from as there, `--per-class` cells of each class are taken
with each of `--draws` seeds; the head is refitted to them and measured on the lab's other cells:
  as it is          the old head
  a number          the refitted head of that strength
  chosen by folds   that of these, or the old head, whose loss on cells held out is least
  as adapt.py       that of adapt.py's strength where it helps on cells held out, else the old head
  mix given         the same where adapt.py is told how often the other cells have each class (mix)
  mix estimated     the same where it has these as pictures without labels (unlabelled)

The first lab should be the model's own, where there is nothing to gain.  Prints two Markdown tables: accuracy
and macro F1, mean and standard deviation over draws and models, and what was gained over the old head in the
worst draw.  Writes outputs/benchmarks/adapting.json.
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
from wbc.adapting.lab_mix import estimated_mix, mix_shift
from wbc.adapting.report import Comparison
from wbc.answers.checkpoint import load_provenance
from wbc.answers.predictor import Predictor
from wbc.answers.temperature import fit_temperature
from wbc.datasets.manifest import used_rows
from wbc.labels import names_of_model
from wbc.metrics.classification import classification_metrics
from wbc.network.device import one_thread
from wbc.network.network import Head
from wbc.settings.adapt import AdaptConfig
from wbc.settings.parse import parse_as
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.memory import keep_freed_memory
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/adapting.json")
MEASURES = "accuracy", "macro_f1"
STRENGTHS = 1.0, 0.1, 0.01, 0.001, 0.0001
OLD, CHOSEN, AS_ADAPT = "as it is", "chosen by folds", "as adapt.py"
GIVEN, ESTIMATED = "mix given", "mix estimated"


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


def ways(
    head: Head, cells: LabCells, others: LabCells, classes: list[str], config: AdaptConfig, seed: int
) -> dict[str, Tensor]:
    """The logits (M, C) of a lab's `others` by the head that each way leaves it with, by its few cells."""
    strengths = sorted({*STRENGTHS, config.strength}, reverse=True)
    heads = {OLD: head} | {f"{one:g}": refitted(head, cells, one) for one in strengths}
    held_out = {OLD: cells.logits(head)}
    for one in strengths:
        held_out[f"{one:g}"] = out_of_fold(head, cells, one, config.folds, seed)
    losses = {way: float(cell_losses(logits, cells.labels).mean()) for way, logits in held_out.items()}
    usual = f"{config.strength:g}"
    helps = Comparison(held_out[OLD], held_out[usual], cells.labels, classes).helps()
    chosen = heads[min(losses, key=losses.__getitem__)]
    heads |= {CHOSEN: chosen, AS_ADAPT: heads[usual if helps else OLD]}
    found = {way: others.logits(one) for way, one in heads.items()}
    temperature = fit_temperature(held_out[usual].double(), cells.labels)
    true = torch.bincount(others.labels, minlength=len(classes)).double() / len(others.labels)
    estimated = estimated_mix(found[usual], cells.labels, temperature)
    for way, mix in ((GIVEN, true), (ESTIMATED, estimated)):
        shift = mix_shift(mix, cells.labels, temperature).float()
        helps = Comparison(held_out[OLD], held_out[usual] + shift, cells.labels, classes, mix).helps()
        found[way] = found[usual] + shift if helps else found[OLD]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="as checkpoint= of adapt.py")
    parser.add_argument("--labs", nargs="+", required=True)
    parser.add_argument("--per-class", type=int, nargs="+", default=[4, 10], help="2 or more")
    parser.add_argument("--draws", type=int, default=10, help="2 or more")
    options = parser.parse_args()
    if min(*options.per_class, options.draws) < 2:
        parser.error("--per-class and --draws: expected 2 or more")
    keep_freed_memory()
    with initialize_config_dir(str(CONF / "adapt"), version_base="1.3"):
        usual = parse_as(AdaptConfig, compose("config", ["checkpoint=", "data="]))
    grid = [(count, seed) for count in options.per_class for seed in range(options.draws)]
    found: dict[tuple[str, str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for model in options.models:
        predictor = wbc.load(model)
        classes = list(predictor.classes)
        copies = turned_copies(usual.views, predictor.views)
        for lab in options.labs:
            config = replace(usual, checkpoint=model, data=lab).with_absolute_paths()
            rows, masks = drawn(config, predictor, grid)
            labels = torch.tensor([classes.index(label) for _, label in rows])
            cells, _ = lab_cells(predictor, [path for path, _ in rows], labels, copies, config.batch_size)
            head = predictor.network.head.cpu().requires_grad_(False)
            for (count, seed), used in zip(grid, tqdm(masks, f"refitting, {lab}", unit="draw"), strict=True):
                others = cells.part(~used)
                with one_thread():
                    tried = ways(head, cells.part(used), others, classes, config, seed)
                for way, logits in tried.items():
                    measured = classification_metrics(logits.softmax(dim=1), others.labels, classes)
                    for measure in MEASURES:
                        found[measure, lab, count][way].append(measured[measure])
    columns = list(next(iter(found.values())))
    header = ["of", "lab", "cells a class", *columns]
    table = [
        [*row, *(f"{100 * mean(of[way]):.1f} ± {100 * stdev(of[way]):.1f}" for way in columns)]
        for row, of in sorted(found.items())
    ]
    print(markdown_table(header, table))
    worst = [
        [
            *row,
            *(f"{100 * min(a - b for a, b in zip(of[way], of[OLD], strict=True)):+.1f}" for way in columns),
        ]
        for row, of in sorted(found.items())
    ]
    print(f"\nGain in the worst draw, in points:\n\n{markdown_table(header, worst)}")
    told = [{"of": of, "lab": lab, "per_class": count, "by": by} for (of, lab, count), by in found.items()]
    write_json(OUTPUT, {"versions": versions(), "models": options.models, "found": told})


if __name__ == "__main__":
    main()
