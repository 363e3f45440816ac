"""Which known cells an answer is like: the nearest of its class, and the nearest of the next one.

Known are the cells whose features the kNN outlier score keeps; here stands which picture each of them was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from wbc.plain.outlier_scores import squared_distances
from wbc.plain.words import FittedWords

ALIKE = 3  # of the answered class


class KnownCell(NamedTuple):
    """A cell that the model was calibrated on.

    name: its path below the folder that held all of them.  distance: of features at unit length, 0 to 2, as
    the kNN outlier score has it.  words: what people named of it, attribute and value; () where they did not.
    """

    name: str
    label: str
    distance: float
    words: tuple[tuple[str, str], ...] = ()


class LikeThese(NamedTuple):
    """The known cells nearest to one: ALIKE of the answered class at most, nearest first; and one of the next
    class, the most probable other one of which a cell is known; None where there is none.
    """

    alike: tuple[KnownCell, ...]
    other: KnownCell | None


@dataclass(frozen=True)
class KnownCells:
    """Of the M cells in the bank of the kNN outlier score, in its order.

    names: of their pictures, as `wbc.utils.short_names.names_below` has them.  labels (M,): classes by
    number.  values (M, A): numbers of the values that people named, as the model's words count them, below 0
    for none; None where no table named any.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    values: np.ndarray | None = None

    def state(self) -> dict[str, Any]:
        """Names in a list, and arrays: what a checkpoint keeps."""
        return vars(self) | {"names": list(self.names)}

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], known: int, classes: int, words: FittedWords | None
    ) -> KnownCells:
        """What `state` came from, of a model whose bank holds `known` cells.

        Raises KeyError, TypeError or ValueError for anything else, and for a name that leads out of a folder.
        """
        names, labels, values = tuple(state["names"]), np.asarray(state["labels"]), state["values"]
        if len(names) != known or labels.shape != (known,):
            raise ValueError(f"known cells: {len(names)} names and {len(labels)} labels of {known} cells")
        for name in names:
            if type(name) is not str or not name or _leads_out(name):
                raise ValueError(f"known cells: {name!r:.80} is no path below a folder")
        if labels.dtype.kind != "i" or labels.min() < 0 or labels.max() >= classes:
            raise ValueError("known cells: labels that are no classes of the model")
        if values is not None:
            values = np.asarray(values)
            most = [] if words is None else [len(one) for one in words.values]
            if values.dtype.kind != "i" or values.shape != (known, len(most)) or (values >= most).any():
                raise ValueError("known cells: values that the model's words do not have")
        return cls(names, labels, values)

    def nearest(
        self,
        bank: np.ndarray,
        features: np.ndarray,
        probabilities: np.ndarray,
        classes: Sequence[str],
        words: FittedWords | None = None,
    ) -> list[LikeThese]:
        """Of N cells with features (N, D) and probabilities (N, C): the known cells that each is like.

        bank: (M, D) at unit length.  words: the model's, which say what `values` are called.
        """
        present = np.bincount(self.labels, minlength=len(classes)) > 0
        found = []
        for squares, own in zip(squared_distances(features, bank), probabilities, strict=True):
            label = int(own.argmax())
            following = next((one for one in np.argsort(-own) if present[one] and one != label), -1)
            alike: list[KnownCell] = []
            others: list[KnownCell] = []
            for cells, one, most in ((alike, label, ALIKE), (others, following, 1)):
                places = np.flatnonzero(self.labels == one)
                places = places[np.argsort(squares[places], kind="stable")[:most]]
                cells += [self._cell(place, squares[place], classes, words) for place in places.tolist()]
            found.append(LikeThese(tuple(alike), others[0] if others else None))
        return found

    def _cell(
        self, place: int, square: float, classes: Sequence[str], words: FittedWords | None
    ) -> KnownCell:
        said: tuple[tuple[str, str], ...] = ()
        if self.values is not None and words is not None:
            said = tuple(
                (name, values[number])
                for name, values, number in zip(
                    words.names, words.values, self.values[place].tolist(), strict=True
                )
                if number >= 0
            )
        return KnownCell(self.names[place], classes[int(self.labels[place])], math.sqrt(square), said)


def _leads_out(name: str) -> bool:
    """Whether a folder joined with it is left, by the rules of this system."""
    return bool(PurePath(name).anchor) or ".." in PurePath(name).parts
