"""Superclasses: names for several classes together, for cells of which the class itself is not sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Ladder(NamedTuple):
    """What could be said of N images: the most probable class, then its superclasses, the smallest first.

    nodes (N, L) int64: places in `Hierarchy.nodes`; the last one of a class is repeated.
    probabilities (N, L) float64: of the nodes, never falling along a row.
    """

    nodes: np.ndarray
    probabilities: np.ndarray


class Hierarchy:
    """The tree over `classes` that `superclasses` make: name -> members, classes or other superclasses.

    names: the superclasses, from the smallest to the largest.  nodes: the classes in their order, then these.
    Raises ValueError, which names the superclass, for members that are neither, for what is in two
    superclasses, for a superclass of a single member, in itself, or of all classes, and for a name that is
    taken.
    """

    def __init__(self, superclasses: Mapping[str, Sequence[str]], classes: Sequence[str]) -> None:
        self.superclasses = {name: list(members) for name, members in superclasses.items()}
        self.classes = list(classes)
        parents = _parents(self.superclasses, self.classes)
        of_class = [_above(name, parents) for name in self.classes]
        holds = {
            name: np.array([name in above for above in of_class], dtype=bool) for name in self.superclasses
        }
        self.names = sorted(holds, key=lambda name: int(holds[name].sum()))
        for name in self.names:
            if holds[name].all():
                raise ValueError(
                    f"{name!r} holds all classes, which says nothing of a cell: take a member out"
                )
        self.nodes = [*self.classes, *self.names]
        # (nodes, C): which classes a node holds.
        self.membership = np.vstack(
            [np.eye(len(self.classes), dtype=bool), *(holds[name] for name in self.names)]
        )
        paths = [[name, *above] for name, above in zip(self.classes, of_class, strict=True)]
        longest = max(map(len, paths))
        self._paths = np.array(
            [[self.nodes.index(name) for name in path + path[-1:] * (longest - len(path))] for path in paths]
        )

    def ladder(self, probabilities: np.ndarray) -> Ladder:
        """Of probabilities (N, C): a superclass has the sum of those of its classes."""
        nodes = self._paths[probabilities.argmax(axis=1)]
        exact = probabilities.astype(np.float64)
        above = exact @ self.membership[len(self.classes) :].T.astype(np.float64)
        each = np.concatenate([exact, above], axis=1)
        return Ladder(nodes, np.take_along_axis(each, nodes, axis=1))

    def right(self, nodes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(N, L) bool: whether a node of (N, L) holds the true class of (N,), by number."""
        return self.membership[nodes, labels[:, None]]

    def common(self, node: str, label: str) -> str | None:
        """The smallest superclass that holds all of `node` and the class `label`; None: they share none."""
        both = self.membership[self.nodes.index(node)] | self.membership[self.nodes.index(label)]
        above = zip(self.names, self.membership[len(self.classes) :], strict=True)
        return next((name for name, holds in above if (both <= holds).all()), None)


def _parents(superclasses: Mapping[str, Sequence[str]], classes: Sequence[str]) -> dict[str, str]:
    """Member -> the superclass that it is in."""
    taken = {name.casefold(): name for name in classes}
    for name in superclasses:
        if not name.strip():
            raise ValueError("a superclass has no name: give it one")
        if name.casefold() in taken:
            raise ValueError(
                f"{name!r} reads like {taken[name.casefold()]!r}, which is there already: name it otherwise"
            )
        taken[name.casefold()] = name
    parents: dict[str, str] = {}
    for name, members in superclasses.items():
        if len(set(members)) < max(2, len(members)):
            raise ValueError(f"{name!r} holds {members}: expected two different members or more")
        for member in members:
            if member not in classes and member not in superclasses:
                raise ValueError(
                    f"{name!r} holds {member!r}, which is neither a class ({', '.join(classes)}) nor a "
                    "superclass: spell it as there"
                )
            if member in parents:
                raise ValueError(
                    f"{member!r} is in {parents[member]!r} and in {name!r}: take it out of one; a superclass "
                    "in another is named there as a member"
                )
            parents[member] = name
    return parents


def _above(name: str, parents: Mapping[str, str]) -> list[str]:
    """The superclasses that hold the class `name`, the smallest first."""
    found: list[str] = []
    while name in parents:
        name = parents[name]
        if name in found:
            raise ValueError(f"{name!r} is in itself, by way of {', '.join(found)}: take it out of one")
        found.append(name)
    return found
