"""The pictures of known cells, where they are still to be found; a model holds their names alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from wbc.datasets.manifest import read_manifest, used_rows
from wbc.errors import ConfigError, ImageError
from wbc.images.boxes import photograph_of
from wbc.images.decode import decode
from wbc.images.prepare import Prepare
from wbc.plain.known_cells import KnownCells
from wbc.settings.layout import MANIFEST, run_file
from wbc.utils.short_names import names_below

log = logging.getLogger(__name__)

_NAMED = 3  # in a message
_KEPT = 2048  # small pictures, some 40 kB each: the same cells are near to many


class KnownPictures:
    """Small pictures of `known` cells, as the network sees them.

    with_words: whether people named any of them.  folder: in which their names lie; None: where manifest.csv
    of the run that made `checkpoint` says.  Pictures that are not there are told by name, and a warning says
    so.  Raises ConfigError for a folder that does not exist.
    """

    def __init__(
        self, known: KnownCells, checkpoint: Path, folder: str | None, prepare: Prepare, side: int
    ) -> None:
        if folder is not None and not os.path.isdir(folder):
            raise ConfigError(
                f"known_cells = {folder} is no folder: give the one below which {known.names[0]} and others "
                "lie"
            )
        names = known.names
        self.with_words = known.values is not None
        self._paths = _of_run(names, checkpoint) if folder is None else _in_folder(names, folder)
        self._prepare = replace(prepare, size_px=side)
        self._small = lru_cache(_KEPT)(self._decoded)
        gone = [name for name in names if not self._is_there(name)]
        if gone:
            log.warning(
                "%d of %d known cells are told by name alone, for their pictures are not %s: %s%s; "
                "known_cells=<folder> says where they are",
                *(len(gone), len(names)),
                "where manifest.csv beside the model says" if folder is None else f"in {folder}",
                ", ".join(gone[:_NAMED]),
                ", ..." if len(gone) > _NAMED else "",
            )

    def picture(self, name: str) -> np.ndarray | str:
        """(side, side, 3) uint8; or why there is none, in words."""
        return self._small(name)

    def _is_there(self, name: str) -> bool:
        path = self._paths.get(name)
        return path is not None and os.path.exists(photograph_of(path))

    def _decoded(self, name: str) -> np.ndarray | str:
        if not self._is_there(name):
            return "picture not found here"
        try:
            return self._prepare(decode(self._paths[name]))
        except ImageError as problem:
            log.warning("known cell %s: %s", name, problem)
            return "picture cannot be read"


def _in_folder(names: Sequence[str], folder: str) -> dict[str, str]:
    return {name: os.path.join(folder, name) for name in names}


def _of_run(names: tuple[str, ...], checkpoint: Path) -> dict[str, str]:
    """Name -> path, by the split in the run's manifest that it was calibrated on; {} for other names."""
    manifest = run_file(checkpoint, MANIFEST)
    if manifest is None:
        return {}
    rows = used_rows(read_manifest(manifest))
    # A training calibrates on its validation images, and an adapted run, which has none, on all its cells.
    split = "val" if (rows["split"] == "val").any() else "train"
    paths = rows.loc[rows["split"] == split, "path"].tolist()
    return dict(zip(names, paths, strict=True)) if paths and names_below(paths) == names else {}
