"""What the pictures of a new lab could do for a model without their labels, against leaving it as it is.

    python benchmarks/unlabelled.py <run folder> --labs test <jtsc>/images drawn.csv

Each of `--labs`, given as to explain.py, is a new lab of which all pictures are known and no label:
  batch-norm x %  the statistics of batch-norm are moved by that share towards those of the lab's pictures
  lab's colours   field and nucleus are brought to the standard by the lab's medians, not each picture's own
  moved features  features are moved so that their mean is that of the classes in the predicted shares
  own class means each cell goes to the nearest class mean in angle, of all cells by their probabilities

By one view of each picture.  The first lab should be the model's own: what fits one lab to another must not
harm where there is nothing to fit.  Prints a Markdown table of accuracies and writes
outputs/benchmarks/unlabelled.json.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from answers import Outputs, outputs
from torch import Tensor
from tqdm import tqdm

import wbc
from wbc.answers.averaged_views import AveragedViews
from wbc.answers.predictor import Predictor
from wbc.datasets.find_images import find_images
from wbc.images import standardised
from wbc.images.cell_finder import FoundCell, find_cell
from wbc.images.decode import decode
from wbc.labels import ClassNames
from wbc.settings.layout import MODEL
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.memory import keep_freed_memory
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/unlabelled.json")
SHARES = 0.1, 0.3, 1.0
BATCH_SIZE = 32


def pictures(predictor: Predictor, run: Path, images: str) -> pd.Series:
    """The paths of a lab's pictures."""
    return find_images(images, ClassNames(predictor.classes), run / MODEL)["path"]


def settled_batch_norm(predictor: Predictor, paths: pd.Series) -> Iterator[tuple[float, Predictor]]:
    """For each of SHARES a model with statistics so far between its own and those of the lab's pictures."""
    moved = copy.deepcopy(predictor)
    norms = [m for m in moved.network.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    own = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.training = True
    order = np.random.default_rng(0).permutation(len(paths))  # a batch of one class would have its statistics
    for start in tqdm(range(0, len(order), BATCH_SIZE), "statistics", unit="batch"):
        batch = [
            predictor.network.prepare(decode(path)) for path in paths.iloc[order[start : start + BATCH_SIZE]]
        ]
        if len(batch) > 1:
            moved.outputs(torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2))
    lab = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]
    for share in SHARES:
        for norm, before, after in zip(norms, own, lab, strict=True):
            norm.training = False
            norm.running_mean = before[0].lerp(after[0], share)
            norm.running_var = before[1].lerp(after[1], share)
        yield share, moved


class LabColours:
    """Within it, cells are found with the median colours of the lab's pictures in place of their own."""

    def __init__(self, paths: pd.Series) -> None:
        found = [find_cell(decode(path)) for path in tqdm(paths, "colours", unit="picture")]
        cells = [cell for cell in found if cell is not None]
        fields = [cell.background for cell in cells if cell.background is not None]
        if not fields:
            raise SystemExit("no picture shows a cell on an empty field: the lab has no colours to know")
        self.field = np.median(fields, axis=0)
        self.nucleus = np.median([cell.nucleus_colour for cell in cells], axis=0).astype(int)

    def find(self, rgb: np.ndarray) -> FoundCell | None:
        cell = find_cell(rgb)
        if cell is None:
            return None
        field = None if cell.background is None else self.field  # which also says how borders are filled
        return dataclasses.replace(cell, background=field, nucleus_colour=self.nucleus)

    def __enter__(self) -> None:
        standardised.find_cell = self.find

    def __exit__(self, *_: object) -> None:
        standardised.find_cell = find_cell


def moved_features(cells: Outputs, means: Tensor) -> Tensor:
    """Features (N, D), moved so that their mean is that of `means` (C, D) in the predicted shares."""
    expected = cells.logits.softmax(dim=1) @ means
    return cells.features - (cells.features - expected).mean(dim=0)


def by_own_means(cells: Outputs) -> Tensor:
    """The class (N,) of the nearest mean in angle, over all cells by their probabilities."""
    unit = torch.nn.functional.normalize(cells.features, dim=1)
    means = cells.logits.softmax(dim=1).T @ unit
    return (unit @ torch.nn.functional.normalize(means, dim=1).T).argmax(dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--labs", nargs="+", required=True)
    options = parser.parse_args()
    keep_freed_memory()
    predictor = wbc.load(options.run / MODEL)
    predictor.views, predictor.second_opinion = AveragedViews(), None
    val = outputs(predictor, options.run, "val")
    if len(val.labels.unique()) < len(predictor.classes):
        raise SystemExit("the validation images lack a class, and so its mean: give a run that has them all")
    means = torch.stack([val.features[val.labels == k].mean(0) for k in range(len(predictor.classes))])
    found: dict[str, dict[str, float]] = {}
    for lab in options.labs:
        cells = outputs(predictor, options.run, lab)
        if bool((cells.labels < 0).any()):
            raise SystemExit(f"{lab} has pictures of no class: give labelled ones, to be measured")
        paths = pictures(predictor, options.run, lab)

        def note(way: str, predicted: Tensor, labels: Tensor = cells.labels, lab: str = lab) -> None:
            found.setdefault(way, {})[lab] = float((predicted == labels).float().mean())

        note("as it is", cells.logits.argmax(1))
        for share, moved in settled_batch_norm(predictor, paths):
            note(f"batch-norm {share:.0%}", outputs(moved, options.run, lab).logits.argmax(1))
        with LabColours(paths):
            note("lab's colours", outputs(predictor, options.run, lab).logits.argmax(1))
        note("moved features", predictor.network.classify(moved_features(cells, means)).argmax(1))
        note("own class means", by_own_means(cells))
    rows = [[way, *(f"{value:.1%}" for value in by_lab.values())] for way, by_lab in found.items()]
    print(markdown_table(["", *options.labs], rows))
    write_json(OUTPUT, {"versions": versions(), "run": str(options.run), "accuracy": found})


if __name__ == "__main__":
    main()
