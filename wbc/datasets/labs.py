"""Several labs in one table of images: data sets joined, each split by itself, or one kept for the test."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from wbc.datasets import splits
from wbc.errors import ConfigError, DataError
from wbc.settings.train import DataConfig, Source

log = logging.getLogger(__name__)


def lab_test_set(lab: str) -> str:
    """The name of a lab's test set: test_<lab>, in letters that a split's name may have."""
    return f"test_{re.sub(r'[^a-z0-9]+', '_', lab.casefold())}"


def lab_configs(config: DataConfig) -> list[DataConfig]:
    """The settings that read each lab of `data.labs` alone: a folder as data=folder, a file as data=manifest.

    Raises ConfigError for names whose test sets would be one.
    """
    read = []
    sets: dict[str, str] = {}
    for lab, place in (config.labs or {}).items():
        twin = sets.setdefault(lab_test_set(lab), lab)
        if twin != lab:
            raise ConfigError(
                f"data.labs: {twin!r} and {lab!r} would both be {lab_test_set(lab)}; rename one"
            )
        path = Path(config.root) / Path(place).expanduser()
        source: Source = "manifest" if path.is_file() else "folder"
        group = config.group if source == "folder" else None
        if group != config.group:
            log.info("%s is a table: its column group counts, not data.group=%s", lab, config.group)
        read.append(replace(config, name=lab, source=source, root=str(path), labs=None, group=group))
    return read


def joined(labs: Sequence[str], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The tables of several labs as one, with the lab as `source` and before each group's name.

    Raises DataError for a file that two labs name.
    """
    marked = []
    for lab, frame in zip(labs, frames, strict=True):
        own = sorted(set(frame["source"]) - {lab})
        if own:
            log.info("%s: the lab's name replaces its column source (%s)", lab, ", ".join(own[:5]))
        groups = (lab + "/" + frame["group"]).where(frame["group"] != "", "")  # two labs may have a patient 1
        marked.append(frame.assign(source=lab, group=groups))
    whole = pd.concat(marked, ignore_index=True)
    twice = whole["path"][whole["path"].duplicated()]
    if len(twice):
        owners = whole["source"][whole["path"] == twice.iloc[0]]
        raise DataError(
            f"{len(twice)} files are in two of data.labs, e.g. {twice.iloc[0]} in {' and '.join(owners)}; "
            "give each lab a folder of its own"
        )
    return whole


def make_splits(frame: pd.DataFrame, pictures: pd.Series, config: DataConfig, seed: int) -> pd.Series:
    """As `wbc.datasets.splits.make_splits`, for one lab or several.

    All images of `config.leave_out` are the set test_<lab>, whatever split they had. Labs of `data.labs` are
    split each by itself, so that each gives its share, and each has a test set of its own; a lab that comes
    with test images alone trains nothing.
    Raises ConfigError for a lab to leave out that is not there, or is the only one; DataError for a test set
    that would be named after one lab and hold images of another.
    """
    split = frame["split"].copy()
    used = frame["excluded"] == ""
    here = pd.Series(True, index=frame.index)
    if config.leave_out is not None:
        left_out = frame["source"] == config.leave_out
        _refuse_absent(config.leave_out, frame["source"], left_out)
        split[left_out] = lab_test_set(config.leave_out)
        here = ~left_out
    with_missing = partial(
        splits.make_splits, val_fraction=config.val_fraction, test_fraction=config.test_fraction, seed=seed
    )
    if config.source != "labs":
        split[here] = with_missing(frame[here], pictures)
        if config.leave_out is not None:
            named = used & (split == lab_test_set(config.leave_out))
            _refuse_joined(frame["source"][named], split[named])
        return split
    for lab, rows in frame[here].groupby("source", sort=False):
        made = rows["split"]
        given = set(made[rows["excluded"] == ""])
        if not given or not all(name.startswith("test") for name in given):
            try:
                made = with_missing(rows, pictures)
            except DataError as error:
                raise DataError(f"data.labs.{lab}: {error}") from error
        is_test = made.str.startswith("test")
        split[rows.index] = made.where(~is_test, lab_test_set(str(lab)) + made.str.removeprefix("test"))
    named = used & split.str.startswith("test")
    _refuse_joined(frame["source"][named], split[named])
    return split


def _refuse_joined(sources: pd.Series, split: pd.Series) -> None:
    """A set named after a lab must be of that lab alone: another's splits can come by the same name."""
    for name, labs in sources.groupby(split):
        if labs.nunique() > 1:
            raise DataError(
                f"the test set {name} would hold images of {' and '.join(sorted(set(labs)))}, and no figure "
                "of it be one lab's; rename the lab, or the split that has this name"
            )


def _refuse_absent(lab: str, sources: pd.Series, left_out: pd.Series) -> None:
    known = ", ".join(sorted(set(sources)))
    if not left_out.any():
        raise ConfigError(f"data.leave_out={lab!r}: no image comes from there; the labs are {known}")
    if left_out.all():
        raise ConfigError(
            f"data.leave_out={lab!r}: every image comes from there, and none is left to train on"
        )
