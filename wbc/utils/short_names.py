"""Short names for files and folders that are told apart in tables and figures."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import PurePath


def short_names(
    paths: Sequence[PurePath], taken: Collection[str] = (), vague: Collection[str] = (), least: int = 1
) -> list[str]:
    """Each path's last part, or its `least` last, with as many before as it takes to differ from the others.

    taken: names that none may have.  vague: last parts that say too little alone, such as "images".
    Paths that are equal throughout keep equal names.
    """
    lengths = [least + (path.name.lower() in vague and len(path.parts) > 2) for path in paths]
    while True:
        names = ["/".join(path.parts[-length:]) for path, length in zip(paths, lengths, strict=True)]
        counts = Counter(names)
        grown = [
            min(length + (counts[name] > 1 or name in taken), len(path.parts))
            for name, length, path in zip(names, lengths, paths, strict=True)
        ]
        if grown == lengths:
            return names
        lengths = grown


def names_below(paths: Sequence[str]) -> tuple[str, ...]:
    """Absolute paths below the folder that all of them share, with / between what is left of them.

    Where they share none but that of the whole system, or lie on several drives: as `short_names` has them,
    with their last folder.
    """
    try:
        folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # several drives
        folder = os.sep
    if os.path.dirname(folder) != folder:
        return tuple(os.path.relpath(path, folder).replace(os.sep, "/") for path in paths)
    parted = [PurePath(path) for path in paths]
    return tuple(short_names([path.relative_to(path.anchor) for path in parted], least=2))


def shortened(name: str, characters: int = 60) -> str:
    """`name`, cut where it is longer, nearer to its start: names often differ at the end only."""
    if len(name) <= characters:
        return name
    start = characters // 3
    return f"{name[:start]}…{name[start + 1 - characters :]}"


def file_names(names: Sequence[str]) -> dict[str, str]:
    """Name -> what a file about it may be called: without slashes, and no two alike."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w.-]+", "_", name).strip("._") or "set"
        number = 2
        unique = plain
        while unique in found.values():
            unique, number = f"{plain}_{number}", number + 1
        found[name] = unique
    return found
