"""Class folders on disk, read as a list of labelled images."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from wbc.datasets.splits import split_name
from wbc.datasets.walk import NO_IMAGE, PassedOver, images_below, is_image, unwanted
from wbc.errors import DataError
from wbc.labels import ClassNames

log = logging.getLogger(__name__)

_LAYOUTS = "<class>/*.jpg, or train/<class>/*.jpg with val/ and test/ beside it"
HOW_TO_GET_IMAGES = (
    "To get Raabin-WBC: download the double-labelled cropped cells (Train, TestA, TestB) from the Raabin "
    "Health Database, https://raabindata.com, unpack them side by side so that there are "
    "Train/<class>/*.jpg, TestA/<class>/*.jpg and TestB/<class>/*.jpg, and give that folder as data.root "
    "with data=raabin. For your own cells take data=folder. To try without any download: data=synthetic"
)


class Found(NamedTuple):
    """An image, its class, and its split, "" where the folders tell none."""

    path: str
    label: str
    split: str


def scan_folder(root: str, names: ClassNames, split_folders: Mapping[str, str] | None) -> list[Found]:
    """Every image in a class folder of `root`, sorted by path; folders below a class folder belong to it.

    split_folders: folder below `root` -> split, each holding class folders; None looks for the usual
    spellings (train, validation, TestA, ...) and else takes `root` itself to hold the class folders.
    Raises DataError for a missing or empty `root`, a missing split folder, an unknown folder, and for
    split and class folders side by side. What is passed over is counted and named in the log.
    """
    top = Path(os.path.abspath(Path(root).expanduser()))
    if not top.is_dir():
        what = "is a file: for a CSV take data=manifest" if top.exists() else "does not exist"
        raise DataError(f"no images: data.root = {top} {what}. {HOW_TO_GET_IMAGES}")
    passed_over = PassedOver()
    found: list[Found] = []
    for folder, split in _split_folders(top, names, split_folders):
        for path in sorted(folder.iterdir()):
            if why := unwanted(path.name):
                passed_over.add(why, path)
            elif path.is_file():
                passed_over.add("images outside a class folder" if is_image(path.name) else NO_IMAGE, path)
        class_folders = _folders(folder)
        for left_out in [path for path in class_folders if names.is_ignored(path.name)]:
            class_folders.remove(left_out)
            for image in images_below(left_out, passed_over):
                passed_over.add(f"images of {left_out.name}, by data.ignore", image)
        unknown = [path.name for path in class_folders if names.find(path.name) is None]
        if unknown:
            raise names.unknown(unknown, f"folders under {folder}")
        for class_folder in class_folders:
            label = names.find(class_folder.name) or ""
            found += [Found(path, label, split) for path in images_below(class_folder, passed_over)]
    passed_over.tell()
    if not found:
        raise DataError(f"no images under {top}: expected {_LAYOUTS}. {HOW_TO_GET_IMAGES}")
    return sorted(found)


def image_files(folder: Path) -> list[str]:
    """Every image below `folder`, sorted."""
    passed_over = PassedOver()
    files = sorted(images_below(folder, passed_over))
    passed_over.tell()
    return files


def _split_folders(
    top: Path, names: ClassNames, split_folders: Mapping[str, str] | None
) -> list[tuple[Path, str]]:
    """The folders that hold class folders, each with its split."""
    folders = _folders(top)
    if split_folders is not None:
        return _named_folders(top, folders, split_folders)
    splits = [path for path in folders if split_name(path.name)]
    classes = [path for path in folders if names.find(path.name)]
    if splits and classes:
        raise DataError(
            f"{top} can be read in two ways: by split ({_listed(splits)}) or by class ({_listed(classes)}); "
            "move one kind away, or name the split folders in data.split_folders"
        )
    if not splits:
        return [(top, "")]
    others = [path for path in folders if path not in splits]
    if others:
        raise DataError(
            f"{top} holds {_listed(splits)}, and beside them {_listed(others)}, which names no split; move "
            "it away, or name the split folders in data.split_folders"
        )
    by_split: dict[str, list[Path]] = defaultdict(list)
    for path in splits:
        by_split[split_name(path.name) or ""].append(path)
    for split, paths in by_split.items():
        if len(paths) > 1:
            raise DataError(
                f"{top}: {_listed(paths)} all read as the split {split!r}; merge them, or name the one that "
                "is meant in data.split_folders"
            )
    return [(paths[0], split) for split, paths in by_split.items()]


def _named_folders(
    top: Path, folders: list[Path], split_folders: Mapping[str, str]
) -> list[tuple[Path, str]]:
    """The folders that the user named, with letter case forgiven, each with its split."""
    chosen, missing = [], []
    for name, split in split_folders.items():
        meant = split_name(split)
        if meant is None:
            raise DataError(
                f"data.split_folders: {name!r} leads to {split!r}, which is no split; take train, val, or a "
                "name that starts with test"
            )
        alike = [path for path in folders if path.name.casefold() == name.casefold()]
        if (top / name).is_dir():
            chosen.append((top / name, meant))
        elif len(alike) == 1:
            chosen.append((alike[0], meant))
        else:
            missing.append(f"{name} ({meant})")
    if missing:
        raise DataError(
            f"no images: {top} lacks {', '.join(missing)} of data.split_folders; it holds "
            f"{_listed(folders) or 'no folder'}. {HOW_TO_GET_IMAGES}"
        )
    unnamed = [path for path in folders if not any(path in (c, *c.parents) for c, _ in chosen)]
    if unnamed:
        log.warning("%s: %s passed over, not being in data.split_folders", top, _listed(unnamed))
    return chosen


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and not unwanted(path.name))


def _listed(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)
