"""Folds of a cross-validation: every class spread over them, what belongs together in one of them."""

from __future__ import annotations

import logging
import warnings

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from wbc.datasets.splits import units_of
from wbc.errors import DataError

log = logging.getLogger(__name__)

NEVER = -1  # of an image that every fold trains on


def fold_numbers(frame: pd.DataFrame, pictures: pd.Series, count: int, seed: int) -> pd.Series:
    """The fold, 0 to `count` - 1, that holds out each row of `frame`; `NEVER` where none may.

    Classes, within each source, are spread evenly.  The images of a group, the boxes of a photograph and
    copies of an image are held out together.  Where all images of a class belong together, or come together
    in one fold, that fold would learn nothing of it: they are held out by none, and the log tells of it.

    frame: columns path, label, group and source of images that are used.  pictures: a name that copies of one
    image share.
    Raises DataError for more folds than the images can make.
    """
    units = units_of(frame["group"], pictures, frame["path"])
    classes = frame["source"] + " " + frame["label"]
    in_one_unit = classes.groupby(classes).transform(lambda rows: units[rows.index].nunique()) < 2
    movable = frame.index[~units.isin(units[in_one_unit])]
    folds = pd.Series(NEVER, index=frame.index)
    folds[movable] = _dealt(classes[movable], units[movable], count, seed)
    in_one_fold = folds.groupby(classes).transform("nunique") < 2
    folds[units.isin(units[in_one_fold])] = NEVER
    for name, rows in frame[folds == NEVER].groupby("label"):
        log.warning(
            "data.folds: %d images of %s belong together with all others of their class, or came with them "
            "in one fold: none holds them out, all train on them",
            *(len(rows), name),
        )
    if missing := sorted(set(range(count)) - set(folds)):
        raise DataError(
            f"data.folds={count}: {len(missing)} of the folds have no image, for groups are few or unequal; "
            f"give fewer, such as data.folds={max(2, count - len(missing))}, or data.folds=0 for none"
        )
    return folds


def _dealt(classes: pd.Series, units: pd.Series, count: int, seed: int) -> pd.Series:
    """The fold of each row, whole units in one."""
    most = min(units.nunique(), int(classes.value_counts().max())) if len(units) else 0
    if most < count:
        mend = f"give data.folds={most}" if most > 1 else "give more images, or data.folds=0 for none"
        raise DataError(
            f"data.folds={count}: {len(units)} images in {units.nunique()} groups (an image without one is "
            f"its own) make no more than {most}; {mend}"
        )
    folds = pd.Series(NEVER, index=classes.index)
    parts = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer images than folds; some have none of it then, and their tables a dash.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for number, (_, held_out) in enumerate(parts.split(classes, classes, units)):
            folds.iloc[held_out] = number
    return folds
