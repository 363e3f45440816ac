"""What words are worth: attributes on labelled cells, the class by words alone, and words in other labs.

    python benchmarks/words.py <run>/model.ckpt --cells <pbc>/val --attributes <pbc>/attributes.csv
        --alone <run of experiment=pbc>/model.ckpt --labs <jtsc>/images <raabin>/train

cells: class folders that the table of attributes knows, which the model did not learn from.  alone: a model
of the same recipe that learnt the class alone.  labs: folders of cells without attributes, of which 300 each
are looked at.  Prints Markdown tables, writes words.json to outputs/benchmarks.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import softmax
from sklearn.metrics import roc_auc_score
from torch import Tensor

import wbc
from wbc.answers.predictor import Predictor
from wbc.datasets.find_images import find_images
from wbc.images.decode import decode
from wbc.images.morphometry import NAMES, measure
from wbc.labels import ClassNames
from wbc.metrics.classification import classification_metrics
from wbc.metrics.mcnemar import mcnemar_test
from wbc.plain.answers import Answers
from wbc.plain.words import FittedWords
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.progress import progress
from wbc.utils.text_tables import markdown_table, percent
from wbc.words.attribute_table import MISSING, AttributeTable, Vocabulary
from wbc.words.measured import measured_words, words_table

OUTPUT = Path("outputs/benchmarks")
LOOKED_AT = 300  # cells of each other lab
TIMED = 256  # cells

# An attribute set to a value must raise the class.  Written down before any was tried.
# a: CellaVision, CellAtlas, hematopoiesis (cellavision.com); b: Semmelweis University, Inst. Pathophysiology,
# "The normal peripheral blood" (xenia.sote.hu); c: Tsutsui 2023 (arXiv:2306.13531).
EXPECTED = [
    ("granule_type", "coarse", "Basophil", "b: numerous coarse granules"),
    ("granule_colour", "purple", "Basophil", "b: strongly basophilic granules"),
    ("granule_type", "round", "Eosinophil", "b: granules fill the cytoplasm like a mosaic"),
    ("granule_colour", "red", "Eosinophil", "b: eosinophilic granules"),
    ("nucleus_shape", "segmented-bilobed", "Eosinophil", "b: typically two parts only"),
    ("granule_type", "small", "Neutrophil", "b: granules are fine"),
    ("granule_colour", "pink", "Neutrophil", "b: granules have no distinct colour"),
    ("nucleus_shape", "segmented-multilobed", "Neutrophil", "b: segmented into 3 to 5 parts"),
    ("nucleus_shape", "unsegmented-band", "Neutrophil", "b: a neutrophilic band is long and narrow"),
    ("nucleus_shape", "unsegmented-round", "Lymphocyte", "a, b: a round nucleus"),
    ("nuclear_cytoplasmic_ratio", "high", "Lymphocyte", "a: a narrow band of cytoplasm"),
    ("cell_size", "small", "Lymphocyte", "a: 7 to 8 microns; b: the size of a red cell"),
    ("granularity", "no", "Lymphocyte", "a: few granules"),
    ("nucleus_shape", "unsegmented-indented", "Monocyte", "a: a kidney-shaped nucleus"),
    ("chromatin_density", "loosely", "Monocyte", "a: very loose chromatin"),
    ("cytoplasm_vacuole", "yes", "Monocyte", "a: vacuoles often appear"),
    ("cell_size", "big", "Monocyte", "a: 12 to 24 microns; b: larger than a granulocyte"),
    ("granularity", "no", "Monocyte", "a: powder-fine granules can occur"),
]
# All that is said of granules, changed together: the class must become this one.
GRANULES = {
    "Basophil": {"granule_type": "coarse", "granule_colour": "purple", "granularity": "yes"},
    "Eosinophil": {"granule_type": "round", "granule_colour": "red", "granularity": "yes"},
    "Neutrophil": {"granule_type": "small", "granule_colour": "pink", "granularity": "yes"},
}
# Cells with the word have more (+1) or less (-1) of the measurement than the others.
MEASURED = [
    ("nuclear_cytoplasmic_ratio", "high", "nucleus_share", 1),
    ("nucleus_shape", "unsegmented-round", "nucleus_solidity", 1),
    ("nucleus_shape", "segmented-multilobed", "nucleus_outline", 1),
    ("nucleus_shape", "segmented-bilobed", "nucleus_lobes", 1),
    ("cell_shape", "irregular", "cell_solidity", -1),
    ("cytoplasm_colour", "light blue", "cytoplasm_lightness", 1),
    ("granule_colour", "red", "cytoplasm_a", 1),
    ("granularity", "yes", "cytoplasm_grain_green", 1),
]


class Cells(NamedTuple):
    """N cells: paths; features (N, D); answers; and measurements (N, 27), NaN where none was found."""

    paths: list[str]
    labels: list[str]
    features: np.ndarray
    answers: Answers
    measurements: np.ndarray


def cells_of(predictor: Predictor, model: Path, images: str, most: int | None) -> Cells:
    rows = find_images(images, ClassNames(predictor.classes), model)
    if most is not None and len(rows) > most:
        rows = rows.sample(most, random_state=0).sort_values("path")
    paths = rows["path"].tolist()
    outputs, answers, _ = predictor.answer_files(paths, 32, 0, images)
    found = []
    for path in progress(paths, "measuring", "cell"):
        values = measure(decode(path))
        found.append(np.full(len(NAMES), np.nan) if values is None else values)
    return Cells(paths, rows["label"].tolist(), outputs.features.numpy(), answers, np.stack(found))


def set_to(words: FittedWords, probabilities: np.ndarray, changes: dict[str, str]) -> np.ndarray:
    """Probabilities (N, V) with attributes set to values, as if they were certain."""
    changed = probabilities.copy()
    for name, value in changes.items():
        place = words.names.index(name)
        part = words.parts()[place]
        changed[:, part] = np.eye(part.stop - part.start)[words.values[place].index(value)]
    return changed


def interventions(words: FittedWords, features: np.ndarray, classes: list[str]) -> list[dict[str, Any]]:
    """For each of EXPECTED: of cells that do not have the value, the share whose class moves as expected."""
    probabilities = words.probabilities(features)
    before = softmax(words.class_logits(probabilities), axis=1)
    found = []
    for name, value, label, source in EXPECTED:
        place = words.names.index(name)
        own = probabilities[:, words.parts()[place]][:, words.values[place].index(value)]
        after = softmax(words.class_logits(set_to(words, probabilities, {name: value})), axis=1)
        number, others = classes.index(label), own < 0.5
        moved = after[others, number] > before[others, number]
        odds = [np.log(one[others, number]) - np.log1p(-one[others, number]) for one in (before, after)]
        found.append(
            {
                "attribute": name,
                "value": value,
                "class": label,
                "source": source,
                "cells": int(others.sum()),
                "moved": float(moved.mean()),
                "log_odds": float(np.median(odds[1] - odds[0])),
            }
        )
    return found


def granules_changed(words: FittedWords, features: np.ndarray, classes: list[str]) -> dict[str, float]:
    """Of cells with other granules, the share that the words call by the class of the new ones."""
    probabilities = words.probabilities(features)
    granulocytes = [classes.index(name) for name in GRANULES]
    told = words.class_logits(probabilities).argmax(axis=1)
    shares = {}
    for label, changes in GRANULES.items():
        others = np.isin(told, granulocytes) & (told != classes.index(label))
        after = words.class_logits(set_to(words, probabilities[others], changes)).argmax(axis=1)
        shares[label] = float((after == classes.index(label)).mean())
    return shares


def turned_by_one(words: FittedWords, features: np.ndarray) -> dict[str, float]:
    """For each attribute: the share of cells whose class by words another value of it alone would turn."""
    probabilities = words.probabilities(features)
    before = words.class_logits(probabilities).argmax(axis=1)
    shares, ever = {}, np.zeros(len(features), bool)
    for name, values in zip(words.names, words.values, strict=True):
        turned = np.zeros(len(features), bool)
        for value in values:
            after = words.class_logits(set_to(words, probabilities, {name: value})).argmax(axis=1)
            turned |= after != before
        shares[name] = float(turned.mean())
        ever |= turned
    return shares | {"any of them": float(ever.mean())}


def agreement(words: FittedWords, cells: Cells, truth: np.ndarray | None) -> list[float | None]:
    """For each of MEASURED: how often a cell with the word has more of the measurement than one without.

    truth: numbers of values that people named (N, A); None takes the most probable word of each cell.
    """
    found: list[float | None] = []
    probabilities = words.probabilities(cells.features)
    for name, value, measurement, sign in MEASURED:
        place = words.names.index(name)
        named = probabilities[:, words.parts()[place]].argmax(axis=1) if truth is None else truth[:, place]
        amount = sign * cells.measurements[:, NAMES.index(measurement)]
        there = ~np.isnan(amount) & (named != MISSING)
        has = named[there] == words.values[place].index(value)
        enough = 10 <= has.sum() <= len(has) - 10
        found.append(float(roc_auc_score(has, amount[there])) if enough else None)
    return found


def spoken(answers: Answers) -> dict[str, float]:
    """How much is said: means over cells, and how often the words alone tell the class of the answer."""
    cells = [cell for cell in answers.words if cell is not None]
    agrees = [cell.told_class == label for cell, label in zip(cells, answers.labels, strict=True)]
    return {
        "images": len(cells),
        "answered_class": float(np.mean([status == "answered" for status in answers.status])),
        "words_answered": float(np.mean([np.mean([word.answered for word in cell.words]) for cell in cells])),
        "any_word_for": float(np.mean([bool(cell.speak_for) for cell in cells])),
        "any_word_against": float(np.mean([bool(cell.speak_against) for cell in cells])),
        "words_agree": float(np.mean(agrees)),
    }


def cost(predictor: Predictor, paths: list[str]) -> dict[str, float]:
    """Milliseconds an image: of an answer from pixels without words, and what words add; the best of five."""
    pixels = torch.from_numpy(np.stack([predictor.prepare(decode(path)) for path in paths]))
    batches = pixels.permute(0, 3, 1, 2).split(32)
    words = predictor.words
    assert words is not None
    seconds: dict[str, list[float]] = {"answer": [], "words": []}
    for _ in range(5):
        started = time.perf_counter()
        outputs = [predictor.outputs(batch) for batch in batches]
        answered = [predictor.rule.answer(one.features, one.logits, predictor.classes) for one in outputs]
        seconds["answer"].append(time.perf_counter() - started)
        started = time.perf_counter()
        for one, answers in zip(outputs, answered, strict=True):
            targets = [predictor.classes.index(label) for label in answers.labels]
            words.describe(one.features.numpy(), targets, [True] * len(targets), predictor.classes)
        seconds["words"].append(time.perf_counter() - started)
    return {name: 1000 * min(times) / len(paths) for name, times in seconds.items()}


def class_rows(
    words: FittedWords, cells: Cells, targets: np.ndarray, classes: list[str], alone: Path | None
) -> list[list[str]]:
    """By what the class is told, its accuracy and macro F1."""
    labels = torch.tensor([classes.index(label) for label in cells.labels])
    named = (targets != MISSING).all(axis=1)
    true_words = np.concatenate(
        [np.eye(len(values))[targets[named, place]] for place, values in enumerate(words.values)], axis=1
    )
    told = words.probabilities(cells.features)
    by = {
        "network": (torch.from_numpy(cells.answers.probabilities), labels),
        "words of the model": (_by_words(words, told), labels),
        "words of pathologists": (_by_words(words, true_words), labels[torch.from_numpy(named)]),
    }
    if alone is not None:
        other = wbc.load(alone).by("auto")
        other.runtime.expect(10_000)
        _, answers, _ = other.answer_files(cells.paths, 32, 0, "by the class alone")
        by["network that learnt the class alone"] = (torch.from_numpy(answers.probabilities), labels)
        right = [np.array(one.labels) == cells.labels for one in (answers, cells.answers)]
        print("class alone, and with words:", mcnemar_test(*right))
    rows = []
    for name, (probabilities, truth) in by.items():
        figures = classification_metrics(probabilities.double(), truth, classes)
        rows.append([name, percent(figures["accuracy"]), percent(figures["macro_f1"])])
    return rows


def _by_words(words: FittedWords, probabilities: np.ndarray) -> Tensor:
    return torch.from_numpy(softmax(words.class_logits(probabilities), axis=1))


def print_link(record: dict[str, Any]) -> None:
    """Tables of the class by words, and of what moves it."""
    print(markdown_table(["class by", "accuracy", "macro F1"], record["class"]))
    rows = [
        [
            *(one["attribute"].replace("_", " "), one["value"], one["class"], one["source"]),
            *(str(one["cells"]), percent(one["moved"]), f"{one['log_odds']:+.1f}"),
        ]
        for one in record["interventions"]
    ]
    print(markdown_table(["set", "to", "must raise", "source", "cells", "moved so", "log-odds"], rows))
    rows = [[name, percent(share)] for name, share in record["granules"].items()]
    print(markdown_table(["granules changed to those of", "class by words becomes so"], rows))
    rows = [[name.replace("_", " "), percent(share)] for name, share in record["turned_by_one"].items()]
    print(markdown_table(["one attribute changed", "class by words turns in"], rows))


def print_labs(record: dict[str, Any]) -> None:
    """Tables of what is said of other labs' cells, and whether measurements agree."""
    labs = record["spoken"]
    keys = list(next(iter(labs.values())))
    rows = [
        [name, str(one["images"]), *(percent(one[key]) for key in keys[1:])] for name, one in labs.items()
    ]
    print(markdown_table(["cells", *(key.replace("_", " ") for key in keys)], rows))
    rows = [
        [
            f"{name.replace('_', ' ')}: {value}",
            f"{'more' if sign > 0 else 'less'} {measurement.replace('_', ' ')}",
            *("–" if one[place] is None else f"{one[place]:.2f}" for one in record["agreement"].values()),
        ]
        for place, (name, value, measurement, sign) in enumerate(MEASURED)
    ]
    print(markdown_table(["word", "measurement", *record["agreement"]], rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--cells", required=True)
    parser.add_argument("--attributes", required=True)
    parser.add_argument("--alone", type=Path)
    parser.add_argument("--labs", nargs="*", default=[])
    given = parser.parse_args()
    predictor = wbc.load(given.model).by("auto")
    words, classes = predictor.words, predictor.classes
    if words is None:
        parser.error(f"{given.model} has no words: train it with data.attributes=<table.csv>")
    predictor.runtime.expect(10_000)
    cells = cells_of(predictor, given.model, given.cells, None)
    table = AttributeTable.read(given.attributes)
    targets = table.targets(Vocabulary(words.names, words.values), cells.paths)
    labels = np.array([classes.index(label) for label in cells.labels])
    found = measured_words(words, cells.features, targets, labels, classes)
    record: dict[str, Any] = {"versions": versions(), "model": str(given.model), "words": found}
    print(markdown_table(*words_table(found)))
    rows = [
        [name.replace("_", " "), value, str(one["support"]), percent(one["recall"]), percent(one["f1"])]
        for name, attribute in found["attributes"].items()
        for value, one in attribute["values"].items()
        if one["f1"] is not None and one["f1"] < 0.85
    ]
    print(markdown_table(["attribute", "value", "cells", "recall", "F1"], rows))
    record["class"] = class_rows(words, cells, targets, classes, given.alone)
    record["interventions"] = interventions(words, cells.features, classes)
    record["granules"] = granules_changed(words, cells.features, classes)
    record["turned_by_one"] = turned_by_one(words, cells.features)
    print_link(record)
    looked_at = {given.cells: cells} | {
        lab: cells_of(predictor, given.model, lab, LOOKED_AT) for lab in given.labs
    }
    record["spoken"] = {name: spoken(one.answers) for name, one in looked_at.items()}
    record["agreement"] = {"pathologists": agreement(words, cells, targets)} | {
        name: agreement(words, one, None) for name, one in looked_at.items()
    }
    print_labs(record)
    record["cost_ms"] = cost(predictor, cells.paths[:TIMED])
    rows = [[name, f"{value:.3f}"] for name, value in record["cost_ms"].items()]
    print(markdown_table(["of", "milliseconds an image"], rows))
    OUTPUT.mkdir(parents=True, exist_ok=True)
    write_json(OUTPUT / "words.json", record)


if __name__ == "__main__":
    main()
