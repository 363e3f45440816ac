"""Do words and class follow where one thing of a drawn cell is changed, and all else stays?

    python benchmarks/changed_cells.py <run of experiment=words>/model.ckpt

Each cell is drawn twice, with the same outline, ground, dyes and camera, and one thing changed: the colour
of its granules, its lobes, its size, and so on.  What the word and the class must do stands in CHANGES and
was written down before any was tried; sources as in benchmarks/words.py.  Prints a Markdown table, writes
outputs/benchmarks/changed_cells.json and, to look at, changed_cells.png beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from train_step import machine

from wbc.answers.checkpoint import load_model
from wbc.answers.predictor import Predictor
from wbc.settings.run_folder import versions
from wbc.synthetic.draw import LABS, draw_cell
from wbc.synthetic.labs import Lab
from wbc.synthetic.nuclei import kidney, lobes
from wbc.synthetic.parts import DrawnCell, assembled, dyed, fraction, granular, outline
from wbc.synthetic.shapes import Layer, Sheet, between, blob
from wbc.utils.files import replacing, write_json
from wbc.utils.progress import progress
from wbc.utils.text_tables import markdown_table, percent

OUTPUT = Path("outputs/benchmarks")
SHOWN = 6  # pairs of each change on the picture
SIDE_PX, FIELD_UM = 360, 28.0  # of a drawn picture, as PBC's
ROOM_UM = 8.0  # that red cells keep free, whatever the cell's size: else they would change with it

# Azure, eosin and blue that a granule adds.
PINK, RED, PURPLE = (0.10, 0.16, 0.0), (0.08, 0.75, 0.0), (0.85, 0.05, 0.2)


@dataclass(frozen=True)
class Look:
    """What is drawn.  share: of the nucleus's radius in the cell's, where it is not lobed."""

    radius_um: float = 6.8
    lobes: int = 0  # 0: a round nucleus
    kidney: bool = False
    share: float = 0.85
    granules: tuple[float, float, float] | None = None
    granule_um: tuple[float, float] = (0.36, 0.55)
    count: int = 220
    vacuoles: int = 0
    tint: tuple[float, float, float] = (0.08, 0.15, 0.08)


GRANULOCYTE = Look(lobes=2, granules=RED)
MONONUCLEAR = Look(radius_um=6.2, share=0.82, tint=(0.06, 0.08, 0.35))


@dataclass(frozen=True)
class Change:
    """From `before` to `after`: `attribute` must become `value`, and class `label`, if any, likelier."""

    name: str
    before: Look
    after: Look
    attribute: str
    value: str
    label: str | None = None


CHANGES = [
    Change(
        "granules pink to red",
        replace(GRANULOCYTE, granules=PINK),
        GRANULOCYTE,
        "granule_colour",
        "red",
        "Eosinophil",
    ),
    Change(
        "granules red to purple",
        GRANULOCYTE,
        replace(GRANULOCYTE, granules=PURPLE),
        "granule_colour",
        "purple",
        "Basophil",
    ),
    Change(
        "granules red to pink",
        GRANULOCYTE,
        replace(GRANULOCYTE, granules=PINK),
        "granule_colour",
        "pink",
        "Neutrophil",
    ),
    Change(
        "granules coarse to fine",
        replace(GRANULOCYTE, granules=PINK),
        replace(GRANULOCYTE, granules=PINK, granule_um=(0.10, 0.18), count=500),
        "granule_type",
        "small",
        "Neutrophil",
    ),
    Change(
        "granules none to red",
        replace(GRANULOCYTE, granules=None),
        GRANULOCYTE,
        "granularity",
        "yes",
        "Eosinophil",
    ),
    Change(
        "lobes 2 to 4", GRANULOCYTE, replace(GRANULOCYTE, lobes=4), "nucleus_shape", "segmented-multilobed"
    ),
    Change(
        "lobes 4 to 2",
        replace(GRANULOCYTE, lobes=4),
        GRANULOCYTE,
        "nucleus_shape",
        "segmented-bilobed",
        "Eosinophil",
    ),
    Change(
        "nucleus round to kidney",
        MONONUCLEAR,
        replace(MONONUCLEAR, kidney=True),
        "nucleus_shape",
        "unsegmented-indented",
        "Monocyte",
    ),
    Change(
        "nucleus kidney to round",
        replace(MONONUCLEAR, kidney=True),
        MONONUCLEAR,
        "nucleus_shape",
        "unsegmented-round",
        "Lymphocyte",
    ),
    Change(
        "cell small to big",
        replace(MONONUCLEAR, radius_um=4.6),
        replace(MONONUCLEAR, radius_um=7.8),
        "cell_size",
        "big",
        "Monocyte",
    ),
    Change(
        "cell big to small",
        replace(MONONUCLEAR, radius_um=7.8),
        replace(MONONUCLEAR, radius_um=4.6),
        "cell_size",
        "small",
        "Lymphocyte",
    ),
    Change(
        "nucleus 60 to 92 % of the cell",
        replace(MONONUCLEAR, share=0.6),
        replace(MONONUCLEAR, share=0.92),
        "nuclear_cytoplasmic_ratio",
        "high",
        "Lymphocyte",
    ),
    Change(
        "vacuoles none to eight",
        replace(MONONUCLEAR, share=0.68),
        replace(MONONUCLEAR, share=0.68, vacuoles=8),
        "cytoplasm_vacuole",
        "yes",
        "Monocyte",
    ),
]


def drawn_as(look: Look, seed: int) -> Callable[[Sheet, np.random.Generator], DrawnCell]:
    """A drawing whose parts each have random numbers of their own, so that one can change alone."""

    def part(number: int) -> np.random.Generator:
        return np.random.default_rng([seed, number])

    def nucleus_of(sheet: Sheet) -> Layer:
        if look.lobes:
            return lobes(sheet, part(1), look.radius_um, look.lobes)
        if look.kidney:
            return kidney(sheet, part(1), look.radius_um)
        layer = sheet.blank()
        sheet.fill(layer, blob(part(1), look.share * look.radius_um, 0.04, between(part(2), 1.0, 1.12)))
        return layer

    def draw(sheet: Sheet, _: np.random.Generator) -> DrawnCell:
        body = outline(sheet, part(0), look.radius_um, wobble=0.03)
        cytoplasm = dyed(body, look.tint)
        if look.granules is not None:
            grains = granular(sheet, part(3), look.radius_um, look.count, look.granule_um) * fraction(body)
            cytoplasm += np.asarray(look.granules, np.float32)[:, None, None] * grains
        if look.vacuoles:
            holes = granular(sheet, part(4), look.radius_um, look.vacuoles, (0.5, 0.9))
            cytoplasm *= 1 - 0.8 * np.minimum(holes * 2, 1)
        cell = assembled(
            sheet, part(5), body, nucleus_of(sheet), cytoplasm, look.radius_um, (0.9, 1.0), (0.9, 0.16)
        )
        return cell._replace(radius_um=ROOM_UM)

    return draw


def picture(look: Look, lab: Lab, seed: int) -> np.ndarray:
    """(SIDE_PX, SIDE_PX, 3): the ground, the dyes' strength and the camera depend on the seed alone."""
    rng = np.random.default_rng([seed, 99])
    return draw_cell("cell", replace(lab, field_um=FIELD_UM), rng, SIDE_PX, {"cell": drawn_as(look, seed)})[0]


def said(
    predictor: Predictor, pictures: list[np.ndarray], change: Change
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each picture: the word's probability, if it is the likeliest, the class's, and the class named."""
    words = predictor.words
    assert words is not None
    images = torch.from_numpy(np.stack([predictor.prepare(one) for one in pictures])).permute(0, 3, 1, 2)
    outputs = predictor.outputs(images)
    place = words.names.index(change.attribute)
    of_values = words.probabilities(outputs.features.numpy())[:, words.parts()[place]]
    number = words.values[place].index(change.value)
    classes = outputs.logits.softmax(dim=1).numpy()
    told = np.zeros(len(pictures))
    if change.label is not None:
        told = classes[:, predictor.classes.index(change.label)]
    return of_values[:, number], of_values.argmax(axis=1) == number, told, classes.argmax(axis=1)


def measured(predictor: Predictor, change: Change, cells: int) -> tuple[dict[str, Any], np.ndarray]:
    """The row of a change, and a picture of its first pairs."""
    labs = list(LABS.values())
    pairs = [
        [picture(look, labs[seed % len(labs)], seed) for seed in range(cells)]
        for look in (change.before, change.after)
    ]
    (word, named, told, _), (word_then, named_then, told_then, label_then) = (
        said(predictor, pictures, change) for pictures in pairs
    )
    row: dict[str, Any] = {
        "change": change.name,
        "word": f"{change.attribute.replace('_', ' ')}: {change.value}",
        "word likelier": float((word_then > word).mean()),
        "named before": float(named.mean()),
        "named after": float(named_then.mean()),
        "class": change.label or "–",
    }
    if change.label is not None:
        row["class likelier"] = float((told_then > told).mean())
        row["class after"] = float((label_then == predictor.classes.index(change.label)).mean())
    small = [
        [cv2.resize(one, (120, 120), interpolation=cv2.INTER_AREA) for one in part[:SHOWN]] for part in pairs
    ]
    return row, np.vstack([np.hstack(part) for part in small])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--cells", type=int, default=100)
    given = parser.parse_args()
    predictor = load_model(given.model)
    if predictor.words is None:
        parser.error(f"{given.model} says no words: give one of wbc train experiment=words")
    rows, sheets = [], []
    for change in progress(CHANGES, "changing drawn cells", "change"):
        row, sheet = measured(predictor, change, given.cells)
        rows.append(row)
        sheets.append(sheet)
    header = [
        "change",
        "word",
        "word likelier",
        "named before",
        "named after",
        "class",
        "class likelier",
        "class after",
    ]
    table = [
        [
            percent(row[name]) if isinstance(row.get(name), float) else str(row.get(name, "–"))
            for name in header
        ]
        for row in rows
    ]
    print(markdown_table(header, table))
    write_json(
        OUTPUT / "changed_cells.json",
        {"machine": machine(), "versions": versions(), "cells": given.cells, "rows": rows},
    )
    with replacing(OUTPUT / "changed_cells.png") as beside:
        cv2.imwrite(str(beside), np.vstack(sheets)[..., ::-1])


if __name__ == "__main__":
    main()
