"""Files that a pattern with * or ? names, below a folder whose own name may hold signs of patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path


def files_matching(pattern: Path) -> tuple[Path, Iterator[str]]:
    """The lowest folder that the pattern names outright, and the files below it that match.

    A folder that is there by its very name is meant, as "run[1]" is in "run[1]/*.jpg".
    """
    top = Path(pattern.anchor)
    for part in pattern.relative_to(top).parts[:-1]:
        if glob.has_magic(part) and not (top / part).is_dir():
            break
        top /= part
    below = glob.iglob(str(pattern.relative_to(top)), root_dir=top, recursive=True)
    paths = (os.path.join(top, name) for name in below)
    return top, (path for path in paths if os.path.isfile(path))
