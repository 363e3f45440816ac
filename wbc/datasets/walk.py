"""The images below a folder, by one rule for every verb; what is passed over is counted and named."""

from __future__ import annotations

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from wbc.errors import DataError
from wbc.images.decode import SUFFIXES

log = logging.getLogger(__name__)

HIDDEN, OF_THE_SYSTEM, NO_IMAGE = "hidden", "made by the system", "not an image by suffix"
# Folders of copies, thumbnails and deleted files that NAS, macOS, Windows, Linux and viewers make.
_SYSTEM_FOLDERS = {
    *("@eadir", "#recycle", "@recycle", "#snapshot", "__macosx", "lost+found", "$recycle.bin"),
    *("system volume information", "thumbnails", "thumbs"),
}
_NAMED = 5  # of each kind


class PassedOver:
    """What a walk left out: how much of each kind, and the first of them by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, path: str | Path) -> None:
        """One file or folder."""
        self.counts[kind] += 1
        if len(self._first[kind]) < _NAMED:
            self._first[kind].append(str(path))

    def tell(self) -> None:
        """A line a kind in the log; a warning where they are images."""
        for kind, count in self.counts.items():
            shown = ", ".join(self._first[kind]) + (", ..." if count > _NAMED else "")
            level = logging.WARNING if kind.startswith("images") else logging.INFO
            log.log(level, "%d passed over (%s): %s", count, kind, shown)


def is_image(name: str, further: tuple[str, ...] = ()) -> bool:
    """By its suffix; `further` are wanted as well."""
    return os.path.splitext(name)[1].lower() in SUFFIXES + further


def unwanted(name: str) -> str:
    """Why a file or folder of this name is passed over, or ""."""
    if name.startswith("."):
        return HIDDEN  # also macOS's "._cell.jpg", which holds no picture
    return OF_THE_SYSTEM if name.lower() in _SYSTEM_FOLDERS else ""


def images_below(folder: Path | str, passed_over: PassedOver, further: tuple[str, ...] = ()) -> Iterator[str]:
    """Every image at any depth, folder by folder, sorted in each.  Links are followed, to each folder once.

    further: suffixes that are wanted as well.
    Raises DataError for a folder that may not be read.
    """
    seen: set[tuple[int, int]] = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=refuse_unreadable):
        status = os.stat(here)
        real = (status.st_dev, status.st_ino)
        if real in seen:  # a link back to a folder above would never end
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in folders + files:
            if why := unwanted(name):
                passed_over.add(why, os.path.join(here, name))
        folders[:] = [name for name in folders if not unwanted(name)]
        for name in sorted(files):
            if is_image(name, further) and not unwanted(name):
                yield os.path.join(here, name)
            elif not unwanted(name):
                passed_over.add(NO_IMAGE, os.path.join(here, name))


def refuse_unreadable(problem: OSError) -> NoReturn:
    """Raises DataError for a folder that may not be read."""
    raise DataError(f"{problem.filename}: {problem.strerror}; mend the folder's permissions") from problem
