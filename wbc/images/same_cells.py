"""Which cells of overlapping photographs are one cell, and which of its pictures is the best.

Free of torch: worker processes import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wbc.images.boxes import Box, share_inside

_SAME = 0.5  # of the smaller box in the other, above which both are of one cell


class Outlined(NamedTuple):
    """A cell of a photograph, in its pixels."""

    box: Box
    at_border: bool


class Overlap(NamedTuple):
    """Two photographs by their numbers; add x and y to places in `second` to have them in `first`."""

    first: int
    second: int
    x: int
    y: int


class Which(NamedTuple):
    """A cell by the place of its photograph, and its own there."""

    photograph: int
    cell: int


def same_cells(cells: Sequence[Sequence[Outlined]], overlaps: Iterable[Overlap]) -> dict[Which, Which]:
    """Of each cell that is seen better elsewhere: where.

    cells: of each photograph.  Whole cells are paired one to one, those that cover each other most first, and
    two of one photograph are never one.  Of a cell that the border cuts, several pieces can lie in one whole.
    The best picture is whole rather than cut, then the larger one, then the first.
    """
    groups: dict[Which, set[Which]] = {}
    pieces = []
    for _, one, other in sorted(_pairs(cells, overlaps), key=lambda pair: -pair[0]):
        mine, theirs = groups.setdefault(one, {one}), groups.setdefault(other, {other})
        if mine is theirs:
            continue
        if {cell.photograph for cell in mine} & {cell.photograph for cell in theirs}:
            pieces.append((one, other))
            continue
        mine |= theirs
        groups |= dict.fromkeys(theirs, mine)
    best = {cell: max(group, key=lambda which: _worth(cells, which)) for cell, group in groups.items()}
    same = {cell: kept for cell, kept in best.items() if cell != kept}
    for pair in pieces:
        cut = [cell for cell in pair if _at(cells, cell).at_border and len(groups[cell]) == 1]
        whole = [cell for cell in pair if not _at(cells, cell).at_border]
        if cut and whole:
            same[cut[0]] = best[whole[0]]
    return same


def _pairs(
    cells: Sequence[Sequence[Outlined]], overlaps: Iterable[Overlap]
) -> Iterable[tuple[float, Which, Which]]:
    for first, second, x, y in overlaps:
        for number, other in enumerate(cells[second]):
            moved = other.box.moved(x, y)
            for place, one in enumerate(cells[first]):
                share = share_inside(one.box, moved)
                if share > _SAME:
                    yield share, Which(first, place), Which(second, number)


def _worth(cells: Sequence[Sequence[Outlined]], which: Which) -> tuple[bool, int, int, int]:
    cell = _at(cells, which)
    return not cell.at_border, cell.box.area, -which.photograph, -which.cell


def _at(cells: Sequence[Sequence[Outlined]], which: Which) -> Outlined:
    return cells[which.photograph][which.cell]
