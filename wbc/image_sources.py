"""Which images a command is given: a file, folder, pattern, table, or a split of the model's own run."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pandas as pd

from wbc.errors import DataError
from wbc.images import SUFFIXES
from wbc.labels import ClassNames
from wbc.manifest import read_csv, read_manifest, used_rows
from wbc.run_folder import MANIFEST
from wbc.scan import image_files


def find_images(given: str, names: ClassNames, checkpoint: Path) -> pd.DataFrame:
    """The images that `given` names: columns path (absolute) and label, "" where none is known.

    Tried in this order: a file or folder of that name, a pattern with * or ?, a split in the manifest.csv
    beside `checkpoint`.  Folders are searched to any depth.  A label is the nearest folder above the image
    that spells a class.  Raises DataError where nothing is found.
    """
    path = Path(given).expanduser()
    if path.is_dir():
        return _labelled(image_files(path), names, f"no images in the folder {path}")
    if path.is_file():
        if path.suffix.lower() == ".csv":
            return used_rows(read_csv(path, names, ""))[["path", "label"]].reset_index(drop=True)
        return _labelled([str(path)], names, "")
    if glob.has_magic(given):
        found = [file for file in glob.glob(str(path), recursive=True) if os.path.isfile(file)]
        pictures = sorted(file for file in found if Path(file).suffix.lower() in SUFFIXES)
        return _labelled(pictures, names, f"no image matches {given} ({len(found)} other files do)")
    return _split(given, checkpoint)


def _labelled(paths: list[str], names: ClassNames, complaint: str) -> pd.DataFrame:
    if not paths:
        raise DataError(f"{complaint}: expected files that end in {', '.join(SUFFIXES)}")
    absolute = [os.path.abspath(path) for path in paths]
    return pd.DataFrame({"path": absolute, "label": [_label(path, names) for path in absolute]})


def _label(path: str, names: ClassNames) -> str:
    found = (names.find(parent.name) for parent in Path(path).parents)
    return next((name for name in found if name is not None), "")


def _split(name: str, checkpoint: Path) -> pd.DataFrame:
    file = next((parent / MANIFEST for parent in checkpoint.parents if (parent / MANIFEST).is_file()), None)
    if file is None:
        raise DataError(
            f"images={name}: no such file or folder, and no {MANIFEST} beside {checkpoint} whose split it "
            "could be; give a file, a folder, a pattern in quotes, or a table with path and label"
        )
    rows = used_rows(read_manifest(file))
    splits = sorted(set(rows["split"]))
    if name not in splits:
        raise DataError(
            f"images={name}: no such file or folder, and no split of {file}, which has {', '.join(splits)}"
        )
    return rows.loc[rows["split"] == name, ["path", "label"]].reset_index(drop=True)
