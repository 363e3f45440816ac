"""The labelled data sets that a model is measured on, each a lab with a name of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wbc.datasets.find_images import find_images, run_manifest
from wbc.datasets.manifest import used_rows
from wbc.errors import DataError
from wbc.labels import ClassNames
from wbc.utils.short_names import short_names

log = logging.getLogger(__name__)

_VAGUE = ("images", "cells", "data", "train", "val", "valid", "validation", "test")  # as a folder's name
_USED_IN_TRAINING = {
    "train": "the model was trained on these images",
    "val": "these images chose the model's weights and the rule of its answers",
}


@dataclass(frozen=True)
class LabelledSet:
    """rows: path, label, group.  split: of the model's own run, "" for other images.  in_lab: whether the
    images are of the labs that the model was trained on, as its run's manifest or the user tells.
    """

    name: str
    rows: pd.DataFrame
    split: str = ""
    in_lab: bool = False

    @property
    def note(self) -> str:
        """What a reader must know before believing the set's figures, "" where there is nothing."""
        return _USED_IN_TRAINING.get(self.split, "")


def find_sets(
    given: Sequence[str], names: ClassNames, checkpoint: Path, in_lab: Sequence[str] = ()
) -> list[LabelledSet]:
    """The sets that `given` names, as `find_images` takes them, for the model in `checkpoint`.

    in_lab: those of `given` that come from a lab that the model was trained in, beside those of which the
    run's manifest tells it.
    Raises DataError for a set that is not found, one that names images without a label, paths given twice,
    and an `in_lab` that is not among `given`.
    """
    if foreign := [word for word in in_lab if word not in given]:
        raise DataError(
            f"in_lab={foreign}: not among data={list(given)}; name the sets as they stand there, or leave "
            "in_lab out"
        )
    everything = run_manifest(checkpoint)
    manifest = None if everything is None else used_rows(everything)
    splits = [] if manifest is None else sorted(set(manifest["split"]))
    found = [find_images(word, names, checkpoint, key="data") for word in given]
    for word, rows in zip(given, found, strict=True):
        _require_labels(word, rows, names.classes)
    own = [word for word in given if word in splits]
    others = [word for word in given if word not in splits]
    paths = [Path(word).expanduser().absolute() for word in others]
    if len(set(paths)) < len(paths):
        raise DataError(f"data={list(given)}: one is named twice; name each once")
    spelled = [path.with_suffix("") if path.suffix.lower() == ".csv" else path for path in paths]
    called = dict(zip(others, short_names(spelled, taken=own, vague=_VAGUE), strict=True))
    sets = []
    for word, rows in zip(given, found, strict=True):
        split = word if word in own else ""
        known = word in in_lab or _is_in_lab(rows["path"], split, manifest)
        sets.append(LabelledSet(called.get(word, word), rows, split, known))
    for one in sets:
        if one.note:
            log.warning("%s: %s; the figures flatter", one.name, one.note)
    return sets


def measured_sets(manifest: pd.DataFrame) -> list[LabelledSet]:
    """The validation images of a run, then its test sets, by its manifest."""
    used = used_rows(manifest)
    splits = ["val", *sorted(split for split in set(used["split"]) if split.startswith("test"))]
    found = {split: used[used["split"] == split] for split in splits}
    return [
        LabelledSet(split, rows, split, _is_in_lab(rows["path"], split, used))
        for split, rows in found.items()
    ]


def _require_labels(word: str, rows: pd.DataFrame, classes: Sequence[str]) -> None:
    bare = rows.loc[rows["label"] == "", "path"]
    if bare.empty:
        return
    folders = sorted({Path(path).parent.name for path in bare})
    shown = ", ".join(folders[:5]) + (", ..." if len(folders) > 5 else "")
    raise DataError(
        f"data={word}: {len(bare)} of {len(rows)} images have no label, for they lie in no folder that "
        f"spells one of the model's classes ({', '.join(classes)}), but in {shown}; e.g. {bare.iloc[0]}. Lay "
        "them out as <class>/<image>, or give a table.csv with the columns path and label; cells of other "
        "kinds are for predict.py"
    )


def _is_in_lab(paths: pd.Series, split: str, manifest: pd.DataFrame | None) -> bool:
    """Whether all images stand in the run's manifest, under sources that training saw too."""
    if manifest is None:
        return False
    trained_on = set(manifest.loc[manifest["split"] == "train", "source"])
    listed = manifest[manifest["split"] == split] if split else manifest[manifest["path"].isin(paths)]
    return set(paths) <= set(listed["path"]) and set(listed["source"]) <= trained_on
