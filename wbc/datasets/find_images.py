"""Which images a command is given: a file, folder, pattern, table, or a split of the model's own run."""

from __future__ import annotations

import glob
import logging
import os
from pathlib import Path

import pandas as pd

from wbc.datasets.class_folders import image_files
from wbc.datasets.folder_labels import FolderLabels
from wbc.datasets.manifest import read_csv, read_manifest, refuse_foreign_names, used_rows
from wbc.datasets.pattern import files_matching
from wbc.datasets.user_table import TABLES
from wbc.datasets.walk import PassedOver
from wbc.errors import DataError
from wbc.images.decode import SUFFIXES
from wbc.labels import ClassNames
from wbc.settings.layout import MANIFEST, run_file

log = logging.getLogger(__name__)


_COLUMNS = ["path", "label", "group"]


def find_images(given: str, names: ClassNames, checkpoint: Path, key: str = "images") -> pd.DataFrame:
    """The images that `given` names: columns path (absolute), label and group, "" where none is known.

    A file, a folder (searched to any depth), a pattern with * or ?, a table with path and label, or a split
    of the run that made `checkpoint`.  A label is the nearest folder that spells a class, from the image up
    to the folder given or the pattern's first (see `wbc.datasets.folder_labels`); a group, the patient or
    slide, is told by tables alone.
    key: the setting that `given` comes from.  Raises DataError where nothing is found, and for a word that is
    both a file or folder here and a split.
    """
    path = Path(given).expanduser()
    splits = _splits(checkpoint)
    if path.exists() and given in splits:
        raise DataError(
            f"{key}={given} is a split of the model's run and also {path.absolute()}: for the latter write "
            f"{key}=./{given}"
        )
    if given in splits:
        found = splits[given]
    elif path.is_dir():
        found = _labelled(image_files(path), path, names, f"no images in the folder {path}")
    elif path.is_file() and path.suffix.lower() in (*TABLES, ".txt"):
        found = used_rows(read_csv(path, names, ""))[_COLUMNS]
    elif path.is_file():
        found = _labelled([str(path)], path.parent, names, "")
    elif glob.has_magic(given):
        found = _matching(path, names)
    else:
        has = f"has {', '.join(splits)}" if splits else f"left no {MANIFEST} beside it"
        raise DataError(
            f"{key}={given}: no such file or folder, and no split of the model's run, which {has}; give a "
            "file, a folder, a pattern in quotes, a table with path and label, or a split"
        )
    if found.empty:
        raise DataError(f"{key}={given}: every row of the table is left out by its column excluded")
    return found.reset_index(drop=True)


def _matching(pattern: Path, names: ClassNames) -> pd.DataFrame:
    top, files = files_matching(pattern)
    found = list(files)
    pictures = sorted(file for file in found if Path(file).suffix.lower() in SUFFIXES)
    return _labelled(pictures, top, names, f"no image matches {pattern} ({len(found)} other files do)")


def _labelled(paths: list[str], top: Path, names: ClassNames, complaint: str) -> pd.DataFrame:
    if not paths:
        raise DataError(f"{complaint}: expected files that end in {', '.join(SUFFIXES)}")
    absolute = [os.path.abspath(path) for path in paths]
    refuse_foreign_names(absolute)
    labels = FolderLabels(names)
    passed_over = PassedOver()
    found = []
    for path in absolute:
        told = labels.of(path, os.path.abspath(top))
        if told.ignored:
            kind = f"images of {os.path.basename(told.folder)}, by data.ignore of the model's training"
            passed_over.add(kind, path)
        else:
            found.append((path, told.label, ""))
    passed_over.tell()
    labels.tell()
    if not found:
        raise DataError(
            f"all {len(absolute)} images lie in folders that data.ignore of the model's training names, e.g. "
            f"{absolute[0]}; to have them all the same, give that folder itself"
        )
    if unknown := sum(label == "" for _, label, _ in found):
        log.info("%d of %d images lie in no folder that spells a class", unknown, len(found))
    return pd.DataFrame(found, columns=_COLUMNS)


def run_manifest(checkpoint: Path) -> pd.DataFrame | None:
    """The images of the run that made `checkpoint`, which lies in its folder or in checkpoints/<phase>/.

    None where no manifest is found there.
    """
    file = run_file(checkpoint, MANIFEST)
    return None if file is None else read_manifest(file)


def _splits(checkpoint: Path) -> dict[str, pd.DataFrame]:
    rows = run_manifest(checkpoint)
    if rows is None:
        return {}
    return {str(name): part[_COLUMNS] for name, part in used_rows(rows).groupby("split")}
