"""The images whose labels look wrong: a model that did not learn from them says another class.

The order is by the out-of-fold probability of the label, the least first (self-confidence, Northcutt 2021).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from wbc.errors import ImageError
from wbc.images.decode import decode
from wbc.images.prepare import Prepare
from wbc.pages.cards import Card, card_grid
from wbc.pages.html import Section, picture, write_page
from wbc.settings.layout import DOUBTFUL_LABELS
from wbc.utils.files import replacing
from wbc.utils.short_names import short_names, shortened
from wbc.utils.text_tables import percent

log = logging.getLogger(__name__)

_SHOWN = 120  # on the page; the table has all
_SIDE = 168  # pixels of a picture; half as many on the page, so that it is sharp on fine screens


def doubtful_labels(rows: pd.DataFrame, probabilities: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """The images that are called otherwise than they are labelled, the surest first.

    rows: N with columns path and label.  probabilities: (N, C), each by a model that did not learn from it.
    Returns columns path, label, prediction, label_probability and prediction_probability.
    """
    best = probabilities.argmax(axis=1)
    labels = np.array([list(classes).index(label) for label in rows["label"]], dtype=int)
    every = np.arange(len(rows))
    table = rows[["path", "label"]].reset_index(drop=True)
    table["prediction"] = [classes[index] for index in best]
    table["label_probability"] = probabilities[every, labels]
    table["prediction_probability"] = probabilities[every, best]
    wrong = table[best != labels]
    return wrong.sort_values("label_probability", kind="stable").reset_index(drop=True)


def write_doubtful_labels(
    folder: Path, doubtful: pd.DataFrame, images: int, of_tests: int, prepare: Prepare
) -> None:
    """doubtful_labels.csv, and doubtful_labels.html with pictures of the surest.

    doubtful: of `doubtful_labels`, out of `images`.  of_tests: images of test sets, which no fold has.
    """
    page = folder / DOUBTFUL_LABELS
    with replacing(page.with_suffix(".csv")) as beside:
        doubtful.to_csv(beside, index=False, float_format="%.6g")
    write_page(
        page, "Labels that look wrong", [Section("Images", _parts(doubtful, images, of_tests, prepare))]
    )
    log.info("labels that look wrong: %d of %d images; page: %s", len(doubtful), images, page)


def _parts(doubtful: pd.DataFrame, images: int, of_tests: int, prepare: Prepare) -> Iterator[str]:
    if of_tests:
        yield (
            f"The {of_tests:,} images of test sets were not looked at. Where the test is taken out of the "
            "training images, data.test_fraction=0 leaves it among them."
        )
    if doubtful.empty:
        yield f"None: each of {images:,} images is called what it is labelled, by a model without it."
        return
    yield (
        f"{len(doubtful):,} of {images:,} images are called otherwise than they are labelled, by a model "
        "that did not learn from them. Those whose label has the lowest probability stand first: there a "
        "wrong label is likeliest; further down the model errs more often. Look at each before you change it."
    )
    if len(doubtful) > _SHOWN:
        yield f"The first {_SHOWN} are shown; {PurePath(DOUBTFUL_LABELS).stem}.csv names all."
    yield card_grid(_cards(doubtful.head(_SHOWN), prepare), small=True)


def _cards(doubtful: pd.DataFrame, prepare: Prepare) -> Iterator[Card]:
    names = short_names([PurePath(path) for path in doubtful["path"]])
    for name, row in zip(names, doubtful.to_dict("records"), strict=True):
        lines = [
            f"label {row['label']}, {percent(row['label_probability'])}",
            f"model {row['prediction']}, {percent(row['prediction_probability'])}",
        ]
        try:
            pixels = replace(prepare, size_px=_SIDE)(decode(row["path"]))
        except ImageError as problem:
            pixels = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
            lines.append(problem.reason)
        shown = picture(pixels, f"{name}, labelled {row['label']}", photograph=True)
        yield Card(shown, shortened(name), row["path"], lines)
