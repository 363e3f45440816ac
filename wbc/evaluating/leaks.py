"""Images that a model was trained on among those that it is to be measured on."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wbc.answers.origins import origins
from wbc.datasets.checks import Examined, examine_images
from wbc.datasets.manifest import read_manifest, used_rows
from wbc.datasets.near_copies import SURE, UNSURE, Pair, near_copies_of
from wbc.images.boxes import photograph_of
from wbc.settings.layout import MANIFEST, run_file

log = logging.getLogger(__name__)

_NAMED = 3  # images of a warning


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
        examined = examine_images(there, checks_dir, workers)
        hashes, self._thumbnails = examined.hashes, examined.thumbnails_of(there)
        for run in self._runs.values():
            for path in run.by_path:
                run.by_photograph.setdefault(photograph_of(path), path)
                if path in hashes:
                    run.by_pixels.setdefault(hashes[path], path)

    def reasons(self, paths: Sequence[str], examined: Examined, named: str) -> list[str]:
        """Why each image is to be left out, "" where it is not: it, another with its pixels, a near-copy, or
        another box of its photograph trained; boxes of one photograph share light, stain and pixels.

        examined: of `paths` and maybe others.  named: the split of the reported model's run that the paths
        are, whose images are wanted although they trained; not those that another model has in another split.
        Near-copies that are not sure are warned of.
        """
        pairs: dict[str, list[Pair]] = defaultdict(list)
        for pair in near_copies_of(self._thumbnails, examined.thumbnails_of(paths)):
            pairs[pair.first].append(pair)
        reasons, unsure = [], []
        for path in paths:
            pixels = examined.hashes.get(path, "")
            seen, reason = self._reason(path, pixels, pairs.get(pixels, []), named)
            reasons.append(reason)
            if seen and not reason:
                unsure.append(f"{path} of {seen}")
        if unsure:
            log.warning(
                "%d of %d images may be near-copies of training images (likeness %g to %g) and are kept: %s",
                *(len(unsure), len(paths), UNSURE, SURE, "; ".join(unsure[:_NAMED])),
            )
        return reasons

    def _add(self, checkpoint: Path, complaint: str) -> None:
        file = run_file(checkpoint, MANIFEST)
        if file is None:
            log.warning("%s; it may have been trained on these images", complaint)
        elif file not in self._runs:
            used = used_rows(read_manifest(file))
            rows = used[used["split"].isin(["train", "val"])]
            self._runs[file] = _Run(checkpoint, dict(zip(rows["path"], rows["split"], strict=True)))

    def _reason(self, path: str, pixels: str, pairs: Sequence[Pair], named: str) -> tuple[str, str]:
        """A training image that shows the same, or "", and why this one is to be left out, or ""."""
        unsure = ""
        for run in self._runs.values():
            twin = path if path in run.by_path else run.by_pixels.get(pixels)
            seen = twin or run.by_photograph.get(photograph_of(path))
            if seen is not None:
                if run.by_path[seen] == named:
                    continue
                where = f"in {run.by_path[seen]} of {run.model}"
                if seen == path:
                    return seen, where
                return seen, f"{'same pixels' if twin else 'same photograph'} as {seen} {where}"
            for pair in pairs:
                near = run.by_pixels.get(pair.second)
                if near is None or run.by_path[near] == named:
                    continue
                if pair.is_sure:
                    how = f"near-copy (likeness {pair.likeness:.2f}) of {near}"
                    return near, f"{how} in {run.by_path[near]} of {run.model}"
                unsure = unsure or near
        return unsure, ""
