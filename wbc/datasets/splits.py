"""Train, val and test: their names, and making those that are missing."""

from __future__ import annotations

import logging
import re

import pandas as pd
from sklearn.model_selection import train_test_split

from wbc.datasets.whole_groups import take_groups, warn_of_uneven_shares
from wbc.errors import ConfigError, DataError
from wbc.images.boxes import photograph_of

log = logging.getLogger(__name__)


# What browsers and Google Drive add to the name of what they download.
_OF_DOWNLOADS = re.compile(r"( ?\(\d+\)|-\d{8}T\d{6}Z(-\d+)*)+$")


def split_of_folder(name: str) -> str | None:
    """As `split_name`, of a folder that may have been downloaded: "TestA (1)" is `test_a` too."""
    return split_name(_OF_DOWNLOADS.sub("", name.strip()))


def split_name(spelling: str) -> str | None:
    """`train`, `val`, `test` or `test_<which>` for any usual spelling, else None.

    Each `test...` is a test set of its own: "TestA" is `test_a`, "testing" is `test`.
    """
    word = spelling.strip().casefold()
    if word in ("train", "training"):
        return "train"
    if word in ("val", "valid", "validate", "validation", "eval", "dev"):
        return "val"
    test = re.fullmatch(r"tests|testing|test(?:ing)?[ _-]*(\w*)", word)
    if test is None:
        return None
    return f"test_{test[1]}" if test[1] else "test"


def make_splits(
    frame: pd.DataFrame, pictures: pd.Series, *, val_fraction: float, test_fraction: float, seed: int
) -> pd.Series:
    """The split of every row, with a missing val or test set taken out of train; left-out rows keep theirs.

    pictures: of each row that is not left out, a name that its copies share; copies are never parted by a
    split made here, nor are the images of a group and the boxes of a photograph. Fractions are of the images
    that are shared out, and about kept where whole groups must move. Without groups every class gives its
    share, at least one image.
    Raises DataError where only some rows have a split, where train is missing, and where nothing can be
    taken out; ConfigError for fractions that leave less than half to train, and for a missing val set
    with a fraction of 0 (early stopping watches val).
    """
    split = frame["split"].copy()
    used = frame["excluded"] == ""
    given = set(split[used]) - {""}
    _refuse_incomplete(split[used], given)
    _refuse_fractions(val_fraction, test_fraction, val_is_given="val" in given)
    if not given:
        split[used] = "train"
    pool = frame[used & (split == "train")]
    units = units_of(pool["group"], pictures[pool.index], pool["path"])
    before, made = pool, {}
    left = 1.0  # of what was shared out
    for name, fraction in (("test", test_fraction), ("val", val_fraction)):
        if any(other.startswith(name) for other in given):
            continue
        if fraction == 0:
            log.warning("there is no test set, and data.test_fraction is 0: nothing will be tested")
            continue
        keep = 2 if name == "test" and "val" not in given else 1  # a class of two goes to train and val first
        taken = _take(pool, units, fraction / left, keep, name, seed)
        log.info("%s: %d of %d training images taken (seed %d)", name, len(taken), len(pool), seed)
        split[taken] = name
        made[name] = fraction
        pool = pool.drop(taken)
        left -= fraction
    if (before["group"] != "").any():
        warn_of_uneven_shares(before, units, split[before.index], made)
    return split


def _refuse_incomplete(split: pd.Series, given: set[str]) -> None:
    bare = int((split == "").sum())
    if given and bare:
        raise DataError(
            f"{bare} of {len(split)} images have no split while others have ({', '.join(sorted(given))}); "
            "give every image a split, or none"
        )
    if given and "train" not in given:
        raise DataError(f"there are {', '.join(sorted(given))} but no train; name the training images' split")


def _refuse_fractions(val_fraction: float, test_fraction: float, *, val_is_given: bool) -> None:
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction > 0.5:
        raise ConfigError(
            f"data.val_fraction = {val_fraction} and data.test_fraction = {test_fraction}: each must be 0 or "
            "more, and together 0.5 at most, so that train keeps half"
        )
    if val_fraction == 0 and not val_is_given:
        raise ConfigError(
            "data.val_fraction = 0 and there is no val set, which early stopping needs; give a fraction such "
            "as 0.15, or a val set"
        )


def units_of(groups: pd.Series, pictures: pd.Series, paths: pd.Series) -> pd.Series:
    """A number a row: equal where rows share group, photograph or picture, also by way of other rows."""
    photographs = paths.map(photograph_of)
    # An image without a group stands for itself; the letters keep pictures and groups' names apart.
    owners = ("g" + groups).where(groups != "", "p" + pictures)
    units = pd.Series(pd.factorize(pictures)[0], index=pictures.index)
    while True:  # the smallest number spreads over groups, copies and boxes until nothing changes
        wider = units
        for shared in (owners, pictures, photographs):
            wider = wider.groupby(shared).transform("min")
        if wider.equals(units):
            return units
        units = wider


def _take(pool: pd.DataFrame, units: pd.Series, fraction: float, keep: int, name: str, seed: int) -> pd.Index:
    """The rows of `pool` that make the split `name`.  keep: units of each class that must be left."""
    units = units[pool.index]
    by_group = bool((pool["group"] != "").any())
    kind = "groups" if by_group else "distinct images"
    taken = (take_groups if by_group else _take_images)(pool["label"], units, fraction, keep, seed)
    if taken.empty:
        raise DataError(
            f"no {name} set can be taken out of {len(pool)} training images ({kind}: {units.nunique()}); "
            f"give more, or give the {name} set yourself"
            + ("" if name == "val" else ", or set data.test_fraction=0")
        )
    for label in sorted(set(pool["label"]) - set(pool["label"][taken])):
        rows = pool["label"] == label
        log.warning(
            "%s: too few to be shared out (images: %d, %s: %d); they stay in train, %s has none",
            *(label, rows.sum(), kind, units[rows].nunique(), name),
        )
    return taken


def _take_images(labels: pd.Series, units: pd.Series, fraction: float, keep: int, seed: int) -> pd.Index:
    """Stratified, a class at a time, so that a rare class is not rounded away."""
    taken: list[int] = []
    for label in sorted(labels.unique()):
        distinct = units[labels == label].unique()
        if len(distinct) > keep:
            share = min(max(1, round(fraction * len(distinct))), len(distinct) - keep)
            taken += list(train_test_split(distinct, test_size=share, random_state=seed)[1])
    return units.index[units.isin(taken)]
