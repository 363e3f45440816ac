"""Which cells a synthetic data set holds: splits, classes, laboratories and smears.

Laboratories have smears, smears have cells. No smear is in two splits, so that the splits mean what they
mean for patients' slides; `test_other_lab` shows laboratories that no training image comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wbc.labels import CLASSES

# Training images of Raabin-WBC (Kouzehkanan 2022): the imbalance that a real laboratory sees.
RAABIN_COUNTS = {"Basophil": 212, "Eosinophil": 744, "Lymphocyte": 2427, "Monocyte": 561, "Neutrophil": 6231}

# Which smears of a laboratory belong to which split. An unseen laboratory has one split only.
SMEARS = {"train": range(6), "val": range(6, 8), "test": range(8, 10), "test_other_lab": range(4)}

RANDOM_LABS = "random"  # in place of a laboratory's name: each smear is one of a laboratory of its own


class Item(NamedTuple):
    """One image to draw: the `number`-th of its class in its split, from one smear of one laboratory."""

    split: str
    label: str
    number: int
    lab: str
    smear: int

    def path(self, kind: str) -> Path:
        """Where its image or mask (`kind`: images or masks) lies in the data set's folder."""
        return Path(kind, self.split, self.label, f"{self.number:04d}.png")


def class_counts(mean: int, least: int) -> dict[str, int]:
    """Images of each class: `least` for all, the rest shared out as in Raabin-WBC.

    The mean over the classes is `mean`, or `least` where that is more. With 150 and 37: 49, 78, 172, 68
    and 383, where Raabin-WBC's own shares would leave 16 basophils.
    """
    to_share = max(0, mean - least) * len(CLASSES)
    images = sum(RAABIN_COUNTS.values())
    # Rounding the running total keeps the sum exact.
    total = np.cumsum([RAABIN_COUNTS[label] for label in CLASSES])
    ends = [0, *(to_share * int(end) // images for end in total)]
    return {label: least + ends[i + 1] - ends[i] for i, label in enumerate(CLASSES)}


def planned_items(
    images_per_class: int, train_labs: Sequence[str], unseen_labs: Sequence[str]
) -> Iterator[Item]:
    """Every image of the data set; each class goes round the laboratories and their smears.

    Training has `images_per_class` on average over the classes and a quarter of it of each class at least;
    val, test and test_other_lab have a third on average and a sixth at least; no class ever has fewer than
    four images.
    """
    train = class_counts(images_per_class, max(4, images_per_class // 4))
    held_out = class_counts(images_per_class // 3, max(4, images_per_class // 6))
    labs_of = {"train": train_labs, "val": train_labs, "test": train_labs, "test_other_lab": unseen_labs}
    for split, labs in labs_of.items():
        if not labs:
            continue
        for label, count in (train if split == "train" else held_out).items():
            for number in range(count):
                smear = SMEARS[split][number // len(labs) % len(SMEARS[split])]
                yield Item(split, label, number, labs[number % len(labs)], smear)


def items_of_random_labs(images_per_class: int, classes: Sequence[str]) -> Iterator[Item]:
    """Training images alone, each of a random laboratory, the first of every class of the same, and so on.

    How many of each class: as in `planned_items`.
    """
    counts = class_counts(images_per_class, max(4, images_per_class // 4))
    for label in classes:
        for number in range(counts[label]):
            yield Item("train", label, number, RANDOM_LABS, number)
