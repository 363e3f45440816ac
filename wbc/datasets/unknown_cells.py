"""The images of data.unknown: cells of none of the classes, most to learn from, the others to measure by."""

from __future__ import annotations

import glob
import logging
from pathlib import Path

import pandas as pd

from wbc.datasets.checks import examine_images
from wbc.datasets.find_images import find_images
from wbc.datasets.manifest import used_rows
from wbc.errors import DataError
from wbc.labels import ClassNames
from wbc.settings.train import DataConfig

log = logging.getLogger(__name__)

_MEASURED = 5  # one image in so many of each kind
_FEWEST = 10  # images in all


def unknown_cells(data: DataConfig, manifest: pd.DataFrame) -> pd.DataFrame | None:
    """A row an image of `data.unknown`: path, kind (its folder's name) and measured, whether it is held out.

    manifest: the images of known cells.  Images that cannot be read, copies, and pictures of known cells are
    left out, and the log names them.  None without data.unknown.  Raises DataError where nothing is found,
    for images in folders that spell a class, for images that are known cells too, and for too few.
    """
    given = data.unknown
    if given is None:
        return None
    if not Path(given).expanduser().exists() and not glob.has_magic(given):
        raise DataError(
            f"data.unknown={given}: no such file or folder; give a folder, a pattern in quotes, or a table "
            "with path and label"
        )
    found = find_images(given, ClassNames(tuple(data.classes)), Path(given) / "no model", "data.unknown")
    if spelt := sorted(set(found["label"]) - {""}):
        raise DataError(
            f"data.unknown={given}: {(found['label'] != '').sum()} images lie in folders that spell a class "
            f"({', '.join(spelt)}), e.g. {found.loc[found['label'] != '', 'path'].iloc[0]}; give a folder of "
            "cells that are none of the classes"
        )
    known = used_rows(manifest)["path"]
    both = found["path"].isin(known)
    if both.any():
        raise DataError(
            f"data.unknown={given}: {both.sum()} images are known cells of data.root too, e.g. "
            f"{found.loc[both, 'path'].iloc[0]}; name their folders in data.ignore, or move them away"
        )
    found = _usable(found, known.tolist(), data)
    if len(found) < _FEWEST:
        raise DataError(
            f"data.unknown={given}: {len(found)} images are too few to learn from; give {_FEWEST} or more"
        )
    found["kind"] = found["path"].map(lambda path: Path(path).parent.name)
    shuffled = found.sample(frac=1, random_state=data.split_seed)
    found["measured"] = shuffled.groupby("kind").cumcount().reindex(found.index) % _MEASURED == _MEASURED - 1
    return found[["path", "kind", "measured"]].reset_index(drop=True)


def _usable(found: pd.DataFrame, known: list[str], data: DataConfig) -> pd.DataFrame:
    examined = examine_images([*found["path"], *known], data.checks_dir, data.workers)
    hashes = found["path"].map(examined.hashes)  # of the pixels; NaN where they cannot be read
    of_known = {examined.hashes[path] for path in known if path in examined.hashes}
    reasons = hashes.duplicated().map({True: "a copy of another", False: ""})
    reasons[hashes.isin(of_known)] = "the picture of a known cell"
    reasons[hashes.isna()] = found["path"].map(examined.reasons)
    for path, reason in zip(found["path"], reasons, strict=True):
        if reason:
            log.warning("data.unknown: left out %s: %s", path, reason)
    return found[reasons == ""].copy()
