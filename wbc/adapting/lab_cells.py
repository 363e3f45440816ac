"""The cells of a new lab that a model settles in by: checked, drawn, and as features."""

from __future__ import annotations

import copy
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wbc.adapting.cross_validation import LabCells
from wbc.answers.averaged_views import AveragedViews
from wbc.answers.predictor import Predictor
from wbc.datasets import exclusions
from wbc.datasets.checks import examine_images
from wbc.datasets.enough_cells import lacking_to_adapt
from wbc.datasets.find_images import find_images
from wbc.datasets.image_list import ImageList, write_list
from wbc.datasets.manifest import COLUMNS, used_rows
from wbc.errors import DataError, ImageError
from wbc.images.boxes import photograph_of
from wbc.images.picture_marks import PictureMarks
from wbc.labels import ClassNames
from wbc.loading.file_batches import files_in_batches
from wbc.network.network import Head
from wbc.settings.adapt import AdaptConfig
from wbc.utils.progress import Progress

log = logging.getLogger(__name__)

USED, REST = "train", "test"  # names of splits, so that the run folder's manifest serves as any other


def cells_manifest(config: AdaptConfig, names: ClassNames) -> pd.DataFrame:
    """The cells of `config.data`, a row each, as `wbc.datasets.manifest` has them.

    split: USED, or REST if not drawn.

    Files that cannot be read, copies of a cell, and a picture under two labels are left out, with the reason:
    a copy in another fold would be measured by a head that knows it.  So are the other boxes of a photograph
    of which one is drawn.
    Raises DataError for cells without one of the classes in `names`, and for too few of them.
    """
    classes = names.classes
    found = find_images(config.data, names, Path(config.checkpoint), "data")
    bare = found.loc[found["label"] == "", "path"]
    if len(bare):
        raise DataError(
            f"data={config.data}: {len(bare)} of {len(found)} images have no class, for no folder above them "
            f"spells one of the model's ({', '.join(classes)}), e.g. {bare.iloc[0]}; rename the folder, "
            "move it away, or give a table with path and label"
        )
    frame = pd.DataFrame({column: found.get(column, default="") for column in COLUMNS}, index=found.index)
    examined = examine_images(frame["path"].tolist(), config.checks_dir, config.workers)
    hashes = frame["path"].map(examined.hashes).dropna()
    frame["identical_to"] = exclusions.identical_to(frame, hashes).reindex(frame.index).fillna("")
    for reasons in (
        exclusions.unreadable(frame, examined.reasons, "skip"),
        exclusions.contradictory(frame, hashes),
    ):
        frame.loc[reasons.index, "excluded"] = reasons
    used = used_rows(frame)
    copies = used.index[hashes[used.index].duplicated()]
    if len(copies):
        log.warning("left out: %d copies of other cells, named in the manifest", len(copies))
        frame.loc[copies, "excluded"] = "a copy of " + frame.loc[copies, "identical_to"]
    drawn = used_rows(frame)
    if config.per_class is not None:
        drawn = drawn.sample(frac=1, random_state=config.seed).groupby("label").head(config.per_class)
    photographs = frame["path"].map(photograph_of)
    beside = frame.index[photographs.isin(photographs[drawn.index]) & ~frame.index.isin(drawn.index)]
    beside = beside[frame["excluded"][beside] == ""]
    if len(beside):
        log.warning("left out: %d boxes beside others of their photograph that are taken", len(beside))
        frame.loc[beside, "excluded"] = "in a photograph of which another box is adapted by"
    frame["split"] = np.where(frame.index.isin(drawn.index), USED, REST)
    apart = int(photographs[drawn.index].groupby(drawn["label"]).nunique().max()) if len(drawn) else 0
    _refuse_too_few(Counter(drawn["label"]), apart, config.data, classes)
    return frame


def _refuse_too_few(counts: Counter[str], apart: int, data: str, classes: Sequence[str]) -> None:
    """apart: of the class with most, the images or photographs, from which one can be held out."""
    total = sum(counts.values())
    listed = ", ".join(f"{name} {counts[name]}" for name in classes)
    if needed := lacking_to_adapt(counts, apart):
        raise DataError(
            f"data={data}: {total} cells to adapt by ({listed}), which is too few: give {needed}; about ten "
            "of each class are enough to begin with"
        )
    log.info("to adapt by: %d cells (%s)", total, listed)
    if absent := [name for name in classes if name not in counts]:
        log.warning("no cell of %s: what the head knows of it stays, as far as it can", ", ".join(absent))
    if single := [name for name in classes if counts[name] == 1]:
        log.warning(
            "a single cell of %s: held out, it is judged by a head that saw none from this lab; give more",
            ", ".join(single),
        )


def turned_copies(asked: int, views: AveragedViews) -> int:
    """How many turned copies of each cell to refit on: no more than two where each is itself averaged over
    draws, for their cost.
    """
    return min(asked, 2) if views.draws else asked


def lab_cells(
    predictor: Predictor, paths: Sequence[str], labels: Tensor, copies: int, batch_size: int
) -> tuple[LabCells, list[PictureMarks]]:
    """N files with their labels (N,): as they lie, then turned by quarters, then mirrored; and their marks.

    copies: up to 8.  Raises ImageError for a file that has gone since it was checked.
    """
    head = copy.deepcopy(predictor.network.head).cpu().requires_grad_(False)
    features, added = [], []
    marks: list[PictureMarks] = []
    with Progress("computing features", "cell", len(paths)) as bar:
        for batch in predictor.stream(files_in_batches(paths, batch_size)):
            for path, reason in batch.files.unreadable:
                raise ImageError(path, reason)
            turned = [
                predictor.with_size(predictor.outputs(one), batch.files.marks)
                for one in _turned(batch.files.pixels, copies)
            ]
            seen = [batch.outputs, *turned]
            features.append(torch.stack([one.features for one in seen], dim=1))
            added.append(torch.stack([one.logits - head(one.features) for one in seen], dim=1))
            marks += batch.files.marks
            bar.update(len(batch.files.images))
    return LabCells(torch.cat(features), labels, torch.cat(added)), marks


def unlabelled_logits(
    given: str, config: AdaptConfig, predictor: Predictor, head: Head
) -> tuple[Tensor, int]:
    """(M, C) logits of the images that `given` names by `head`; and how many could not be read, which the log
    names.

    given: a folder, a pattern, or a list with a column path, as predict takes them: no label is asked for.
    Raises DataError where none can be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "unlabelled.jsonl"
        write_list(given, None, listed, "unlabelled")
        logits, unreadable = _logits_of(ImageList(listed, config.batch_size), predictor, head)
    if not len(logits):
        raise DataError(f"unlabelled={given}: none of {unreadable} images can be read")
    return logits, unreadable


def _logits_of(images: ImageList, predictor: Predictor, head: Head) -> tuple[Tensor, int]:
    old = copy.deepcopy(predictor.network.head).cpu().requires_grad_(False)
    logits, unreadable = [torch.empty(0, len(predictor.classes))], 0
    with Progress("the lab's mix", "image", images.images) as bar:
        for batch in predictor.stream(images):
            for path, reason in batch.files.unreadable:
                log.warning("unlabelled: left out %s: %s", path, reason)
                unreadable += 1
            seen = batch.outputs
            if len(seen.features):
                logits.append(head(seen.features) + seen.logits - old(seen.features))
            bar.update(len(batch.files.images))
    return torch.cat(logits), unreadable


def _turned(pixels: Tensor, copies: int) -> Iterator[Tensor]:
    """All but the first of `copies`."""
    for number in range(1, copies):
        turned = torch.rot90(pixels, number % 4, (2, 3))
        yield turned.flip(3) if number >= 4 else turned
