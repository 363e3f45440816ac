"""Where words come from: heat of each attribute in nucleus and cytoplasm, and what hiding either does to it.

    python benchmarks/where_words.py <run>/model.ckpt --cells <pbc>/val --masks <jtsc>

cells: class folders of the training lab, of which --each a class are taken; cell and nucleus as found there.
masks: a folder of images/ and masks/.  Drawn cells with their masks come third.  Prints Markdown tables,
writes where_words.json to outputs/benchmarks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch

import wbc
from wbc.answers.predictor import Predictor
from wbc.datasets.find_images import find_images
from wbc.heat.cams import ClassActivationMap
from wbc.heat.word_maps import WordMap
from wbc.images.cell_finder import find_cell
from wbc.images.decode import decode
from wbc.images.masks import MASK_CYTOPLASM, MASK_NUCLEUS, mask_path, read_mask
from wbc.labels import ClassNames
from wbc.settings.run_folder import versions
from wbc.synthetic.draw import LABS, draw_cell
from wbc.synthetic.varied import VARIANTS
from wbc.utils.files import write_json
from wbc.utils.progress import progress
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks")
BATCH = 20
MAPS = ("gradcam:last", "gradcam:blocks.4.2", "layercam:fused")
# What each attribute of WBCAtt is of; of those of the whole cell either part may speak.
OF = {
    "nucleus": ("nucleus_shape", "chromatin_density"),
    "cytoplasm": (
        *("cytoplasm_vacuole", "cytoplasm_texture", "cytoplasm_colour"),
        *("granule_type", "granule_colour", "granularity"),
    ),
}
PARTS = {"nucleus": MASK_NUCLEUS, "cytoplasm": MASK_CYTOPLASM}


class Cells(NamedTuple):
    """images (N, 3, S, S) uint8, and masks (N, S, S)."""

    images: torch.Tensor
    masks: np.ndarray


def found_mask(rgb: np.ndarray) -> np.ndarray | None:
    """As the cell finder sees it."""
    cell = find_cell(rgb)
    if cell is None:
        return None
    mask = np.where(cell.cell, MASK_CYTOPLASM, 0)
    mask[cell.nucleus] = MASK_NUCLEUS
    return cv2.resize(mask.astype(np.uint8), rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def stacked(predictor: Predictor, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Cells:
    """Pictures and masks of any size."""
    side = predictor.prepare.size_px
    size = (side, side)
    images = np.stack([predictor.prepare(rgb) for rgb, _ in pairs]).transpose(0, 3, 1, 2)
    masks = [cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT) for _, mask in pairs]
    return Cells(torch.from_numpy(np.ascontiguousarray(images)), np.stack(masks))


def sets(predictor: Predictor, model: Path, cells: str, masks: Path, each: int) -> dict[str, Cells]:
    names = ClassNames(predictor.classes)

    def drawn_rows(folder: str) -> list[str]:
        rows = find_images(folder, names, model).sample(frac=1, random_state=0)
        return rows.groupby("label").head(each)["path"].tolist()

    of_lab = [(rgb, found_mask(rgb)) for rgb in map(decode, drawn_rows(cells))]
    other = [(decode(path), path) for path in drawn_rows(str(masks / "images"))]
    rng = np.random.default_rng(0)
    drawn = [
        draw_cell(label, LABS["lab_a"], rng, drawings=VARIANTS)
        for label in names.classes
        for _ in range(each)
    ]
    return {
        "training lab": stacked(predictor, [(rgb, mask) for rgb, mask in of_lab if mask is not None]),
        "jtsc": stacked(
            predictor, [(rgb, read_mask(mask_path(path, masks / "masks"), rgb.shape)) for rgb, path in other]
        ),
        "drawn": stacked(predictor, drawn),
    }


def shares(heat: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    """Of N maps (N, S, S): the share of the heat inside the cell that lies in its nucleus, over the
    nucleus' share of the cell's area, by which even heat has 1; and the same of the cytoplasm.
    """
    inside, nucleus = masks > 0, masks == MASK_NUCLEUS
    of_cell = (heat * inside).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (heat * nucleus).sum(axis=(1, 2)) / of_cell
        area = nucleus.sum(axis=(1, 2)) / inside.sum(axis=(1, 2))
        return {"nucleus": share / area, "cytoplasm": (1 - share) / (1 - area)}


def measured(predictor: Predictor, cells: Cells, name: str, kinds: Sequence[str]) -> pd.DataFrame:
    """A row for each cell, attribute (or the class) and map; one for what hiding a part does to a word."""
    words, network = predictor.words, predictor.network
    assert words is not None
    rows: list[dict[str, Any]] = []
    starts = range(0, len(cells.images), BATCH)
    for start in progress(starts, f"heat on cells of {name}", "batch"):
        images, masks = cells.images[start : start + BATCH], cells.masks[start : start + BATCH]
        outputs = predictor.outputs(images)
        features = outputs.features.numpy()
        targets = outputs.logits.argmax(dim=1)
        described = words.describe(features, targets.tolist(), [True] * len(images), predictor.classes)
        for kind in kinds:
            method, _, layer = kind.partition(":")
            maps = {"class": ClassActivationMap(network, method, layer)(images, targets).numpy()}
            for attribute in words.names:
                maps[attribute] = (
                    WordMap(network, words, attribute, method, layer).heat(images, described).numpy()
                )
            for attribute, heat in maps.items():
                found = shares(heat, masks)
                rows += [
                    {"map": kind, "attribute": attribute, "nucleus": nucleus, "cytoplasm": cytoplasm}
                    for nucleus, cytoplasm in zip(found["nucleus"], found["cytoplasm"], strict=True)
                ]
        before = words.probabilities(features)
        mean = images.float().mean(dim=(2, 3), keepdim=True).round().to(torch.uint8)
        lost = {}
        for part, value in PARTS.items():
            hidden = torch.where(torch.from_numpy(masks == value)[:, None], mean, images)
            lost[part] = before - words.probabilities(predictor.outputs(hidden).features.numpy())
        for attribute, part in zip(words.names, words.parts(), strict=True):
            best = before[:, part].argmax(axis=1)[:, None]
            fall = {one: np.take_along_axis(values[:, part], best, 1)[:, 0] for one, values in lost.items()}
            rows += [
                {"map": "hidden", "attribute": attribute, "nucleus": nucleus, "cytoplasm": cytoplasm}
                for nucleus, cytoplasm in zip(fall["nucleus"], fall["cytoplasm"], strict=True)
            ]
    return pd.DataFrame(rows).assign(set=name)


def part_of(attribute: str) -> str:
    return next((part for part, names in OF.items() if attribute in names), "cell")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--cells", required=True)
    parser.add_argument("--masks", required=True, type=Path)
    parser.add_argument("--each", type=int, default=40, help="cells of a class and set")
    parser.add_argument("--maps", nargs="+", default=MAPS, help="<method>:<layer>")
    given = parser.parse_args()
    predictor = wbc.load(given.model)
    if predictor.words is None:
        parser.error(f"{given.model} has no words: train it with data.attributes=<table.csv>")
    groups = sets(predictor, given.model, given.cells, given.masks, given.each)
    frame = pd.concat([measured(predictor, cells, name, given.maps) for name, cells in groups.items()])
    frame["of"] = frame["attribute"].map(part_of)
    print({name: len(cells.images) for name, cells in groups.items()})
    for kind in given.maps:
        means = (
            frame[frame["map"] == kind]
            .groupby(["attribute", "set"], sort=False)[["nucleus", "cytoplasm"]]
            .mean()
        )
        rows = [
            [
                attribute.replace("_", " "),
                part_of(attribute) if attribute != "class" else "",
                *(f"{means.loc[(attribute, one), part]:.2f}" for one in groups for part in PARTS),
            ]
            for attribute in ["class", *predictor.words.names]
        ]
        headers = ["heat for", "is of", *(f"{one}: {part}" for one in groups for part in PARTS)]
        print(f"\n{kind}\n\n" + markdown_table(headers, rows))
    hidden = (
        frame[frame["map"] == "hidden"]
        .groupby(["attribute", "set"], sort=False)[["nucleus", "cytoplasm"]]
        .mean()
    )
    rows = [
        [
            attribute.replace("_", " "),
            part_of(attribute),
            *(f"{hidden.loc[(attribute, one), part]:.2f}" for one in groups for part in PARTS),
        ]
        for attribute in predictor.words.names
    ]
    headers = ["word", "is of", *(f"{one}: {part} hidden" for one in groups for part in PARTS)]
    print("\n" + markdown_table(headers, rows))
    table = (
        frame.groupby(["map", "set", "attribute"], sort=False)[["nucleus", "cytoplasm"]].mean().reset_index()
    )
    OUTPUT.mkdir(parents=True, exist_ok=True)
    write_json(
        OUTPUT / "where_words.json",
        {"versions": versions(), "model": str(given.model), "means": table.to_dict("records")},
    )


if __name__ == "__main__":
    main()
