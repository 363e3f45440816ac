"""Drawn cells among those of training, beside real ones of one lab.

A network that has seen one lab alone takes that lab's look for a part of each class.  Cells drawn as of many
labs (`wbc.synthetic.labs.random_lab`) have nothing in common but the shapes and granules by which a class is
told.  They join training alone: what is chosen, promised or measured is so by real images.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from wbc.datasets.checks import examine_images
from wbc.datasets.manifest import DRAWN, read_csv
from wbc.errors import ConfigError, DataError
from wbc.labels import CLASSES, ClassNames
from wbc.settings.paths import absolute
from wbc.settings.train import DataConfig
from wbc.synthetic.dataset import write_random_labs

log = logging.getLogger(__name__)

_LEAST_PX = 224  # so that a cell is drawn as fine as it is photographed


def drawn_cells(config: DataConfig, image_size_px: int) -> pd.DataFrame:
    """Rows of split `train` and source DRAWN: `config.drawn_per_class`, the mean over CLASSES.

    They are drawn into `config.drawn_dir`, or found there from before.
    Raises ConfigError for a class that nobody can draw, since the look of a drawing would speak against it;
    DataError for a kept drawing that is gone or damaged.
    """
    drawn = _names_of_drawn(config)
    if undrawn := [name for name in config.classes if name not in drawn.values()]:
        raise ConfigError(
            f"data.drawn_per_class={config.drawn_per_class}: no cells can be drawn of {', '.join(undrawn)}, "
            f"but of {', '.join(CLASSES)} alone; say in data.aliases what your names stand for, or set "
            "data.drawn_per_class=0"
        )
    table = write_random_labs(
        Path(absolute(config.drawn_dir)),
        config.drawn_per_class,
        list(drawn),
        config.synthetic_seed,
        max(_LEAST_PX, image_size_px),
        config.workers,
    )
    cells = read_csv(table, ClassNames(CLASSES), DRAWN).assign(source=DRAWN, group="")
    reasons = examine_images(cells["path"].tolist(), config.checks_dir, config.workers).reasons
    if reasons:
        path, reason = next(iter(reasons.items()))
        raise DataError(
            f"{path}: {reason} ({len(reasons)} such drawn cells); "
            f"delete {table.parent}, and all are drawn again"
        )
    return cells.assign(label=cells["label"].map(drawn))


def with_drawn_cells(manifest: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The rows of both."""
    log.info("train: %d drawn cells beside these images", len(cells))
    return pd.concat([manifest, cells], ignore_index=True)


def _names_of_drawn(config: DataConfig) -> dict[str, str]:
    """The user's own class for each that can be drawn and is among them, by either's spellings."""
    usual, own = ClassNames(CLASSES), ClassNames(config.classes, config.aliases)
    meant = {name: name for name in config.classes} | dict(config.aliases)
    spelled = {label: name for word, name in meant.items() if (label := usual.find(word)) is not None}
    return spelled | {label: name for label in CLASSES if (name := own.find(label)) is not None}
