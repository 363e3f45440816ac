"""The images of data.unknown: cells of none of the classes, most to learn from, the others to measure by."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from wbc.datasets.find_images import find_images
from wbc.datasets.manifest import used_rows
from wbc.errors import DataError
from wbc.labels import ClassNames

_MEASURED = 5  # one image in so many of each kind
_FEWEST = 10  # images in all


def unknown_cells(
    given: str, classes: Sequence[str], manifest: pd.DataFrame, seed: int | None
) -> pd.DataFrame:
    """A row an image that `given` names: path, kind (its folder's name) and measured, whether it is held out.

    manifest: the images of known cells.  Raises DataError where nothing is found, for images in folders that
    spell a class, for images that are known cells too, and for too few.
    """
    if not Path(given).expanduser().exists() and not glob.has_magic(given):
        raise DataError(
            f"data.unknown={given}: no such file or folder; give a folder, a pattern in quotes, or a table "
            "with path and label"
        )
    found = find_images(given, ClassNames(tuple(classes)), Path(given) / "no model", "data.unknown")
    if spelt := sorted(set(found["label"]) - {""}):
        raise DataError(
            f"data.unknown={given}: {(found['label'] != '').sum()} images lie in folders that spell a class "
            f"({', '.join(spelt)}), e.g. {found.loc[found['label'] != '', 'path'].iloc[0]}; give a folder of "
            "cells that are none of the classes"
        )
    both = found["path"].isin(used_rows(manifest)["path"])
    if both.any():
        raise DataError(
            f"data.unknown={given}: {both.sum()} images are known cells of data.root too, e.g. "
            f"{found.loc[both, 'path'].iloc[0]}; name their folders in data.ignore, or move them away"
        )
    if len(found) < _FEWEST:
        raise DataError(
            f"data.unknown={given}: {len(found)} images are too few to learn from; give {_FEWEST} or more"
        )
    found["kind"] = found["path"].map(lambda path: Path(path).parent.name)
    shuffled = found.sample(frac=1, random_state=seed)
    found["measured"] = shuffled.groupby("kind").cumcount().reindex(found.index) % _MEASURED == _MEASURED - 1
    return found[["path", "kind", "measured"]]
