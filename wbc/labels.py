"""The classes, their one fixed order, and the many ways in which folders and tables spell them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wbc.errors import ConfigError, DataError

CLASSES = ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")

# What published sets and analysers write; letter case, blanks, "-" and "_" do not count, plurals of the
# full names are understood. BA BNE EO LY MO NEU SNE: file names of the Barcelona set (Acevedo 2020).
# BAS EOS LYT MON NGB NGS: Munich AML set (Matek 2019). baso eosi lymp mono neut: LISC (Rezatofighi 2011).
# The rest: differential-count reports, and the German and French words. Band and segmented forms are
# stages of one class here; atypical lymphocytes and precursors are not listed, for they are other cells.
USUAL_SPELLINGS = {
    "Basophil": ("ba", "bas", "baso", "basophile"),
    "Eosinophil": ("eo", "eos", "eosi", "eosino", "eosinophile"),
    "Lymphocyte": ("ly", "lym", "lymp", "lympho", "lyt", "lymphozyt", "lymphozyten"),
    "Monocyte": ("mo", "mon", "mono", "monozyt", "monozyten"),
    "Neutrophil": (
        *("ne", "neu", "neut", "neutro", "neutrophile", "bne", "sne", "ngb", "ngs"),
        *("band neutrophil", "band neutrophils", "neutrophil band"),
        *("segmented neutrophil", "segmented neutrophils", "neutrophil segmented"),
    ),
}  # fmt: skip


class ClassNames:
    """Turns any usual spelling into the class; the index of a label is its place in `classes`.

    A class's own name wins over `aliases`' silence and over the usual spellings, so that a set may have
    "Band" or "SNE" as a class of its own; an alias of the user's wins over a usual spelling.
    of_model: they are those of a trained model, to which no other can be added.  ignored: names of cells that
    are to be left out.
    Raises ConfigError for fewer than two classes, classes that read alike, aliases that lead nowhere or away
    from a class of that very name, and ignored names that spell a class.
    """

    def __init__(
        self,
        classes: Sequence[str],
        aliases: Mapping[str, str] | None = None,
        of_model: bool = False,
        ignored: Sequence[str] = (),
    ) -> None:
        self.classes = tuple(classes)
        self.of_model = of_model
        if len(self.classes) < 2:
            raise ConfigError(f"data.classes = {list(classes)}: a classifier needs two classes or more")
        self._class_of: dict[str, str] = {}
        for name in self.classes:
            key = _key(name)
            if not key:
                raise ConfigError(f"data.classes holds {name!r}: a class needs a name with a letter or digit")
            if key in self._class_of:
                raise ConfigError(
                    f"data.classes: {self._class_of[key]!r} and {name!r} read alike (letter case, blanks, "
                    "'-' and '_' do not count); rename one"
                )
            self._class_of[key] = name
        own = dict(self._class_of)
        for alias, name in (aliases or {}).items():
            if name not in self.classes:
                raise ConfigError(
                    f"data.aliases: {alias!r} leads to {name!r}, which is not among data.classes "
                    f"({', '.join(self.classes)})"
                )
            if own.get(_key(alias), name) != name:
                raise ConfigError(
                    f"data.aliases: {alias!r} is a class itself and cannot also stand for {name!r}; "
                    f"take {own[_key(alias)]!r} out of data.classes"
                )
            self._class_of[_key(alias)] = name
        for name in self.classes:
            self._class_of.setdefault(_key(name) + "s", name)
        for name, spellings in USUAL_SPELLINGS.items():
            if _key(name) in own:
                for spelling in spellings:
                    self._class_of.setdefault(_key(spelling), own[_key(name)])
        self._ignored = {_key(name) for name in ignored}
        if spelt := [name for name in ignored if self.find(name)]:
            raise ConfigError(
                f"data.ignore: {spelt[0]!r} spells the class {self.find(spelt[0])}; take out one of them"
            )

    def is_ignored(self, name: str) -> bool:
        """Whether `name` is one that is to be left out."""
        return _key(name) in self._ignored

    def find(self, name: str) -> str | None:
        """The class that `name` spells, or None."""
        return self._class_of.get(_key(name))

    def unknown(self, names: Iterable[str], where: str) -> DataError:
        """The error for `names` that spell no class, found at `where` (a folder, a file)."""
        listed = sorted(set(names))
        found = f"{where}: {', '.join(map(repr, listed))}"
        known = f"{', '.join(self.classes)} and their usual spellings"
        if self.of_model:
            return DataError(
                f"{found}: not among the model's classes ({known}); rename it, or leave these images out"
            )
        return DataError(
            f"{found}: not among the known classes ({known}). If it is another spelling, add "
            f'"data.aliases={{{listed[0]}: {self.classes[-1]}}}" (the right class in its place); if it is a '
            "class of its own, add it to data.classes; to leave such cells out, add "
            f'"data.ignore=[{",".join(listed)}]"'
        )


def names_of_model(classes: Sequence[str], provenance: Mapping[str, Any]) -> ClassNames:
    """The classes of a trained model, with the spellings and ignored names that its lab told its training."""
    data = provenance.get("config", {}).get("data", {})
    return ClassNames(classes, data.get("aliases"), of_model=True, ignored=data.get("ignore") or ())


def _key(name: str) -> str:
    """What is left to compare once letter case, blanks and punctuation are taken out."""
    return re.sub(r"[\W_]+", "", name).casefold()
