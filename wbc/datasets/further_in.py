"""Folders further in that hold class folders: archives are unpacked a folder too deep, sets come in folds."""

from __future__ import annotations

from pathlib import Path

from wbc.datasets.splits import split_of_folder
from wbc.datasets.walk import is_image, refuse_unreadable, unwanted
from wbc.labels import ClassNames

MAX_DEPTH = 4  # folders that may lie between a root and its class folders


def subfolders(parent: Path) -> list[Path]:
    """The folders in `parent` that may hold cells, sorted.  Raises DataError where it may not be read."""
    try:
        return sorted(path for path in parent.iterdir() if not unwanted(path.name) and path.is_dir())
    except PermissionError as problem:
        refuse_unreadable(problem)


def holders(top: Path, names: ClassNames) -> list[Path]:
    """The folders below `top`, the outermost of each branch, that hold class folders or splits of them."""
    found: list[Path] = []
    level = [top]
    for _ in range(MAX_DEPTH):
        level = [path for folder in level for path in subfolders(folder) if not names.is_ignored(path.name)]
        found += [folder for folder in level if _holds(folder, names)]
        level = [folder for folder in level if folder not in found]
    return sorted(found)


def wrapped_names(folders: list[Path]) -> list[str]:
    """The folders inside `folders`, where all hold the same ones and no image; of folds in a folder, those
    inside the folds; else none.
    """
    inside = [subfolders(folder) for folder in folders]
    names = [[path.name for path in paths] for paths in inside]
    has_images = any(is_image(path.name) for folder in folders for path in folder.iterdir())
    if has_images or not names[0] or any(one != names[0] for one in names):
        return []
    return wrapped_names([path for paths in inside for path in paths]) or names[0]


def _holds(folder: Path, names: ClassNames) -> bool:
    inside = subfolders(folder)
    splits = [path for path in inside if split_of_folder(path.name)]
    deeper = [path for split in splits for path in subfolders(split)]
    return any(names.find(path.name) for path in (*inside, *deeper))
