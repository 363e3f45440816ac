"""Class folders on disk, read as a list of labelled images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from wbc.datasets.folder_labels import FolderLabels
from wbc.datasets.groups import check_groups, group_of, warn_of_copies
from wbc.datasets.split_folders import HOW_TO_GET_IMAGES, FolderTree
from wbc.datasets.walk import PassedOver, images_below
from wbc.errors import DataError
from wbc.labels import ClassNames


class Found(NamedTuple):
    """An image, its class, and its split and group, "" where none is told."""

    path: str
    label: str
    split: str
    group: str


def scan_folder(
    root: str,
    names: ClassNames,
    split_folders: Mapping[str, str] | None,
    group: str | None = None,
    key: str = "data.root",
) -> list[Found]:
    """Every image in a class folder of `root`, sorted by path; folders below a class folder belong to it,
    except those that spell another class or are ignored (see `wbc.datasets.folder_labels`).

    split_folders: folder below `root` -> split, each holding class folders; None looks for the usual
    spellings (train, validation, TestA, ...) and else takes `root` itself to hold the class folders.
    group: as `wbc.datasets.groups.group_of` takes it.  key: the setting that names `root`.
    Where a folder alone holds all others, as archives are unpacked, these are read.
    Raises DataError for a missing or empty `root`, a missing split folder, an unknown folder, for split and
    class folders side by side, for several folders with class folders each of which none names a split, and
    for a `group` that no image has. What is passed over is counted and named in the log.
    """
    top = Path(os.path.abspath(Path(root).expanduser()))
    if not top.is_dir():
        what = "is a file: for a CSV take data=manifest" if top.exists() else "does not exist"
        raise DataError(f"no images: {key} = {top} {what}. {HOW_TO_GET_IMAGES}")
    passed_over = PassedOver()
    labels = FolderLabels(names)
    tree = FolderTree(top, names, key, passed_over)
    found: list[Found] = []
    for folder, split in tree.split_folders(split_folders):
        for class_folder in tree.class_folders(folder):
            for path in images_below(class_folder, passed_over):
                told = labels.of(path, str(class_folder))
                if told.ignored:
                    passed_over.add(f"images of {os.path.basename(told.folder)}, by data.ignore", path)
                else:
                    found.append(Found(path, told.label, split, group_of(path, told.folder, group)))
    passed_over.tell()
    labels.tell()
    if not found:
        raise DataError(tree.complaint())
    paths = [image.path for image in found]
    if group is None:
        warn_of_copies(paths)
    else:
        check_groups([image.group for image in found], paths, group)
    return sorted(found)


def image_files(folder: Path) -> list[str]:
    """Every image below `folder`, sorted."""
    passed_over = PassedOver()
    files = sorted(images_below(folder, passed_over))
    passed_over.tell()
    return files
