"""Which class the folders above an image tell, by one rule for every verb."""

from __future__ import annotations

import logging
import os
from collections import Counter
from typing import NamedTuple

from wbc.labels import ClassNames

log = logging.getLogger(__name__)

_NAMED = 5  # folders of one class in another's


class FolderLabel(NamedTuple):
    """label: the class, "" where no folder spells one.  folder: the one that spells it, or is ignored."""

    label: str
    folder: str
    ignored: bool = False


class FolderLabels:
    """The nearest folder that spells a class says what an image shows; an ignored one leaves out all in it.

    A folder that was dragged into another class's still says what its cells are.  It may also be a patient's
    initials, so that such folders are counted, and `tell` warns of them.
    """

    def __init__(self, names: ClassNames) -> None:
        self._names = names
        self._known: dict[tuple[str, str], tuple[FolderLabel, str]] = {}
        self._overruled: Counter[tuple[FolderLabel, str]] = Counter()

    def of(self, path: str, top: str) -> FolderLabel:
        """What the folders from the image up to `top` tell; those above say nothing about cells.

        path, top: absolute.  `top` itself, having been asked for by name, is never ignored.
        """
        here = (os.path.dirname(path), top)
        if here not in self._known:
            self._known[here] = self._read(*here)
        told, outer = self._known[here]
        if outer:
            self._overruled[told, outer] += 1
        return told

    def tell(self) -> None:
        """Warn of folders of one class inside another's."""
        if not self._overruled:
            return
        shown = [
            f"{count} in {told.folder} are {told.label}, not {outer}"
            for (told, outer), count in self._overruled.most_common(_NAMED)
        ]
        log.warning(
            "%d images lie in a folder of one class inside another's; the nearest folder is their label: "
            "%s%s. Move such a folder out; where the outer one is right, rename the inner one",
            *(self._overruled.total(), "; ".join(shown)),
            "; ..." if len(self._overruled) > _NAMED else "",
        )

    def _read(self, folder: str, top: str) -> tuple[FolderLabel, str]:
        """What the folders tell, and the class that is overruled, "" where there is none."""
        told, outer = FolderLabel("", ""), ""
        while True:
            name = os.path.basename(folder)
            if folder != top and self._names.is_ignored(name):
                return FolderLabel("", folder, ignored=True), ""
            label = self._names.find(name) or ""
            if label and not told.label:
                told = FolderLabel(label, folder)
            elif label and label != told.label:
                outer = outer or label
            if folder in (top, os.path.dirname(folder)):
                return told, outer
            folder = os.path.dirname(folder)
