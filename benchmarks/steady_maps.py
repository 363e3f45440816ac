"""How still heat maps hold where the picture is turned, mirrored or moved, and between seeds of training.

    python benchmarks/steady_maps.py <run>/model.ckpt --cells <jtsc>/images --masks <jtsc>/masks
    python benchmarks/steady_maps.py <seed 0>/model.ckpt <seed 1>/model.ckpt <seed 2>/model.ckpt --cells ...

Of the cells that the first model names rightly --each a class are taken.  A row for each of --methods and
number of --views: the mean rank correlation of the map with that of the changed picture, brought back;
between models, of the same class; deletion, insertion and, with masks, heat in the cell as `wbc explain`
measures them.
Prints a Markdown table, writes outputs/benchmarks/steady_maps.json.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor
from train_step import machine

from wbc.answers.checkpoint import load_model
from wbc.answers.predictor import Predictor
from wbc.datasets.find_images import find_images
from wbc.heat.faithfulness import deletion_insertion
from wbc.heat.lime import Lime
from wbc.heat.methods import Method, build_method
from wbc.images.masks import localisation, mask_path, read_mask
from wbc.images.standardised import placed_mask
from wbc.labels import ClassNames
from wbc.loading.file_batches import files_in_batches
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.progress import progress
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/steady_maps.json")
BATCH = 16
BORDER = 16  # px that are repeated around a picture before it is moved, and left out where maps are compared


class Cells(NamedTuple):
    """images (N, 3, S, S) uint8 as the network sees them, classes (N,), and masks (S, S) or None."""

    images: Tensor
    targets: Tensor
    masks: list[np.ndarray | None]


def moved(maps: Tensor, right: int, down: int) -> Tensor:
    """(N, C, S, S) moved by so many pixels; the border goes on."""
    padded = F.pad(maps.float(), [BORDER] * 4, mode="replicate")
    side = maps.shape[-1]
    top, left = BORDER - down, BORDER - right
    return padded[..., top : top + side, left : left + side]


# Name -> what is done to pictures (N, C, S, S), and to heat of the same shape to bring it back.
CHANGES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "moved 5 px": (lambda x: moved(x, 4, 3), lambda x: moved(x, -4, -3)),
    "moved 11 px": (lambda x: moved(x, -9, 7), lambda x: moved(x, 9, -7)),
    "mirrored": (lambda x: x.flip(-1), lambda x: x.flip(-1)),
    "turned": (lambda x: torch.rot90(x, 1, (-2, -1)), lambda x: torch.rot90(x, -1, (-2, -1))),
}


def chosen(predictor: Predictor, model: Path, cells: str, masks: str | None, each: int) -> Cells:
    """The first `each` of each class, in one random order, that the network alone names rightly."""
    rows = find_images(cells, ClassNames(predictor.classes), model).sample(frac=1, random_state=0)
    labels = dict(zip(rows["path"], rows["label"], strict=True))
    left = dict.fromkeys(predictor.classes, each)
    images, targets, found = [], [], []
    batches = files_in_batches(rows["path"].tolist(), BATCH)
    for batch in predictor.stream(batches, range(len(batches))):
        named = predictor.network_logits(batch.files.pixels).argmax(dim=1).tolist()
        readable = [
            image.path for image, why in zip(batch.files.images, batch.files.reasons, strict=True) if not why
        ]
        for place, (path, number) in enumerate(zip(readable, named, strict=True)):
            label = predictor.classes[number]
            if labels[path] != label or not left[label]:
                continue
            left[label] -= 1
            images.append(batch.files.pixels[place])
            targets.append(number)
            mask = None
            if masks is not None:
                mask = read_mask(mask_path(path, masks), batch.files.sizes[place])
                mask = placed_mask(mask, batch.files.placements[place], predictor.prepare.size_px)
            found.append(mask)
        if not any(left.values()):
            break
    if not images:
        raise SystemExit(f"{model} names none of the cells of {cells} rightly: give others")
    return Cells(torch.stack(images), torch.tensor(targets), found)


def heat_of(method: Method, images: Tensor, targets: Tensor) -> Tensor:
    """(N, S, S), batch by batch."""
    parts = zip(images.split(BATCH), targets.split(BATCH), strict=True)
    return torch.cat([method.heat(*part) for part in parts])


def likeness(one: Tensor, other: Tensor) -> float:
    """Mean rank correlation of maps (N, S, S), by squares of 4 px, without the border."""
    small = [
        F.avg_pool2d(heat[:, None, BORDER:-BORDER, BORDER:-BORDER], 4).flatten(1) for heat in (one, other)
    ]
    return float(np.nanmean([spearmanr(*pair).statistic for pair in zip(*small, strict=True)]))


def measured(
    predictors: list[Predictor], cells: Cells, name: str, views: int, samples: int
) -> dict[str, Any]:
    """One row of the table."""

    def method_of(predictor: Predictor, seed: int = 0) -> Method:
        lime = Lime(predictor.network_logits, samples, seed=seed)
        return build_method(name, predictor.network, lime, predictor.network_logits, views)

    first = predictors[0]
    method = method_of(first)
    started = time.process_time()
    heat = heat_of(method, cells.images, cells.targets)
    row: dict[str, Any] = {
        "method": name,
        "views": views,
        "seconds": (time.process_time() - started) / len(heat),
    }
    for change, (there, back) in CHANGES.items():
        # LIME wants whole numbers; a picture that is moved has them anyway.
        seen = heat_of(method, there(cells.images).round().to(torch.uint8), cells.targets)
        row[change] = likeness(heat, back(seen[:, None])[:, 0])
    if len(predictors) > 1:
        heats = [heat_of(method_of(one), cells.images, cells.targets) for one in predictors]
        row["between seeds"] = float(np.mean([likeness(*pair) for pair in itertools.combinations(heats, 2)]))
    areas = deletion_insertion(first.network_logits, cells.images, heat, cells.targets, 10, BATCH)
    row |= {"deletion": float(areas[0].mean()), "insertion": float(areas[1].mean())}
    inside = [
        localisation(one.numpy(), mask)["heat_in_cell"]
        for one, mask in zip(heat, cells.masks, strict=True)
        if mask is not None
    ]
    if inside:
        row["heat in cell"] = float(np.mean(inside))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--cells", required=True)
    parser.add_argument("--masks")
    parser.add_argument("--each", type=int, default=12)
    parser.add_argument("--methods", nargs="+", default=["gradcam", "layercam:fused"])
    parser.add_argument("--views", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--samples", type=int, default=1000, help="of lime")
    given = parser.parse_args()
    predictors = [load_model(model).by("auto") for model in given.models]
    for predictor in predictors:
        predictor.runtime.expect(10**6)
    cells = chosen(predictors[0], given.models[0], given.cells, given.masks, given.each)
    rows = []
    for name, views in progress(list(itertools.product(given.methods, given.views)), "maps", "row"):
        rows.append(measured(predictors, cells, name, views, given.samples))
        header = list(rows[0])
        table = [
            [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]
            for row in rows
        ]
        print(markdown_table(header, table), flush=True)
    write_json(
        OUTPUT,
        {"machine": machine(), "versions": versions(), "cells": len(cells.images), "rows": rows},
    )


if __name__ == "__main__":
    main()
