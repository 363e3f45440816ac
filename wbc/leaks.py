"""Images that a model was trained on among those that it is to be measured on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from wbc.checks import examine_images
from wbc.image_sources import run_manifest
from wbc.manifest import used_rows

log = logging.getLogger(__name__)


class TrainingImages:
    """The training and validation images of the runs that made some models: by path, and by their pixels."""

    def __init__(self, checkpoints: Sequence[str], checks_dir: str, workers: int | None) -> None:
        self._by_path: dict[str, str] = {}
        self._by_pixels: dict[str, tuple[str, str]] = {}
        for checkpoint in checkpoints:
            manifest = run_manifest(Path(checkpoint))
            if manifest is None:
                log.warning(
                    "%s: no manifest.csv beside it: whether it was trained on these images is not known",
                    checkpoint,
                )
                continue
            used = used_rows(manifest)
            rows = used[used["split"].isin(["train", "val"])]
            self._by_path |= dict(zip(rows["path"], rows["split"], strict=True))
        there = [path for path in self._by_path if Path(path).is_file()]
        if lost := len(self._by_path) - len(there):
            log.warning(
                "%d of %d training images have been moved or deleted: copies of them cannot be recognised",
                *(lost, len(self._by_path)),
            )
        for path, pixels in examine_images(there, checks_dir, workers).hashes.items():
            self._by_pixels.setdefault(pixels, (self._by_path[path], path))

    def reasons(self, paths: Sequence[str], hashes: Mapping[str, str], named: str) -> list[str]:
        """Why each image is to be left out, "" where it is not: it, or another with its pixels, trained.

        hashes: path -> pixels.  named: the split that the paths are, whose own images are wanted.
        """
        return [self._reason(path, hashes.get(path, ""), named) for path in paths]

    def _reason(self, path: str, pixels: str, named: str) -> str:
        if path in self._by_path:
            split, why = self._by_path[path], "in the model's {}"
        elif pixels in self._by_pixels:
            split, original = self._by_pixels[pixels]
            why = f"same pixels as in the model's {{}}: {original}"
        else:
            return ""
        return "" if split == named else why.format(split)
