"""Images that a model was trained on among those that it is to be measured on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wbc.answers.origins import origins
from wbc.datasets.checks import examine_images
from wbc.datasets.manifest import read_manifest, used_rows
from wbc.images.boxes import photograph_of
from wbc.settings.layout import MANIFEST, run_file

log = logging.getLogger(__name__)


@dataclass
class _Run:
    """The training and validation images of one run, each with its split."""

    model: Path
    by_path: dict[str, str]
    by_pixels: dict[str, str] = field(default_factory=dict)  # pixels -> one of the paths that show them
    by_photograph: dict[str, str] = field(default_factory=dict)  # file -> one of its boxes


class TrainingImages:
    """The images that some models have seen: in their own runs, and in those that they come from.

    A model that was adapted, or trained from another's weights, has seen that one's images too.
    """

    def __init__(self, checkpoints: Sequence[str], checks_dir: str, workers: int | None) -> None:
        self._runs: dict[Path, _Run] = {}  # by manifest: models of one run are one
        for checkpoint in checkpoints:
            self._add(Path(checkpoint), f"{checkpoint}: no manifest.csv beside it")
            for origin in origins(Path(checkpoint)):
                self._add(origin, f"{checkpoint} comes from {origin}, which is gone or has no manifest.csv")
        paths = {path for run in self._runs.values() for path in run.by_path}
        there = sorted(path for path in paths if Path(photograph_of(path)).is_file())
        if lost := len(paths) - len(there):
            log.warning(
                "%d of %d training images have been moved or deleted: copies of them cannot be recognised",
                *(lost, len(paths)),
            )
        hashes = examine_images(there, checks_dir, workers).hashes
        for run in self._runs.values():
            for path in run.by_path:
                run.by_photograph.setdefault(photograph_of(path), path)
                if path in hashes:
                    run.by_pixels.setdefault(hashes[path], path)

    def reasons(self, paths: Sequence[str], hashes: Mapping[str, str], named: str) -> list[str]:
        """Why each image is to be left out, "" where it is not: it, another with its pixels, or another box
        of its photograph trained; boxes of one photograph share light, stain and pixels.

        hashes: path -> pixels.  named: the split of the reported model's run that the paths are, whose images
        are wanted although they trained; not those that another model has in another split.
        """
        return [self._reason(path, hashes.get(path, ""), named) for path in paths]

    def _add(self, checkpoint: Path, complaint: str) -> None:
        file = run_file(checkpoint, MANIFEST)
        if file is None:
            log.warning("%s; it may have been trained on these images", complaint)
        elif file not in self._runs:
            used = used_rows(read_manifest(file))
            rows = used[used["split"].isin(["train", "val"])]
            self._runs[file] = _Run(checkpoint, dict(zip(rows["path"], rows["split"], strict=True)))

    def _reason(self, path: str, pixels: str, named: str) -> str:
        for run in self._runs.values():
            twin = path if path in run.by_path else run.by_pixels.get(pixels)
            seen = twin or run.by_photograph.get(photograph_of(path))
            if seen is None or run.by_path[seen] == named:
                continue
            where = f"in {run.by_path[seen]} of {run.model}"
            if seen == path:
                return where
            return f"{'same pixels' if twin else 'same photograph'} as {seen} {where}"
        return ""
