"""The patient or slide of an image in a class folder: told by the folder inside, or by the file's name."""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Sequence

from wbc.errors import DataError
from wbc.settings.quoting import in_shell
from wbc.settings.values import BY_FOLDER

log = logging.getLogger(__name__)

# How programs name the copies that they make of an image; the group is the name without it.
_COPIES = {
    r"^(.+)\.rf\.": "as Roboflow names copies",
    r"_original_(.+)\.\w+_[0-9a-f]{8}-": "as Augmentor names copies",
    r"^(.*_\d+)_\d+\.\w+$": "as Keras names copies, or a slide's cells are numbered",
    r"^(.+?)(?:[-_ ](?:aug|flip|mirror|rot)[^.]*)?\.\w+$": "beside words for turned copies",
}
_FEWEST = 10  # beginnings: of fewer, each is too large a part of the set to be one cell's copies


def group_of(path: str, class_folder: str, how: str | None) -> str:
    """The group of an image in `class_folder`, "" where `how` tells none.

    how: BY_FOLDER, for the folder directly below the class folder; or a regular expression that is looked
    for in the file's name, whose one capture group is the group.
    """
    if how is None:
        return ""
    if how == BY_FOLDER:
        inside = os.path.relpath(os.path.dirname(path), class_folder)
        return "" if inside == os.curdir else inside.split(os.sep)[0]
    found = re.search(how, os.path.basename(path))
    return found[1] or "" if found else ""


def check_groups(groups: Sequence[str], paths: Sequence[str], how: str) -> None:
    """Warn of images of which `how` told no group.  Raises DataError where it told none of any."""
    bare = [path for path, group in zip(paths, groups, strict=True) if not group]
    where = "lies directly in its class folder" if how == BY_FOLDER else "does not match"
    if len(bare) == len(paths):
        raise DataError(
            f"data.group={how} tells the group of no image: e.g. {bare[0]} {where}. Give data.group=folder "
            "where class folders hold a folder a patient or slide, a pattern that finds it in such names, or "
            "data.group=null"
        )
    if bare:
        log.warning(
            "data.group=%s tells no group of %d of %d images, which stand each for itself: e.g. %s %s",
            *(how, len(bare), len(paths), bare[0], where),
        )
    log.info("groups: %d, of %d images", len(set(groups) - {""}), len(paths) - len(bare))


def warn_of_copies(paths: Sequence[str]) -> None:
    """Where most file names look as if several showed one cell: how to keep these together."""
    for pattern, as_whom in _COPIES.items():
        alike: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            if group := group_of(path, "", pattern):
                alike[group].append(path)
        # Files of one name in several folders are numbered by folder.
        several = [files for files in alike.values() if len(set(map(os.path.basename, files))) > 1]
        count = sum(map(len, several))
        if len(alike) >= _FEWEST and 2 * count >= len(paths):
            log.warning(
                "%d of %d file names begin as others do (%s), e.g. %s and %s: where they show one cell or "
                "slide and lie in several splits, every figure flatters. To keep them together, give %s",
                *(count, len(paths), as_whom, several[0][0], os.path.basename(several[0][1])),
                in_shell("data.group", pattern),
            )
            return
