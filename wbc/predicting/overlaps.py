"""Overlapping photographs of one slide: which have a part in common, and each cell of it counted once."""

from __future__ import annotations

import csv
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

from wbc.errors import ImageError
from wbc.images.decode import decode
from wbc.images.registration import Features, Shift, features_of, shift_between
from wbc.images.same_cells import Outlined, Overlap, Which, same_cells
from wbc.images.slides import is_slide
from wbc.predicting.found_cells import COUNTED_ELSEWHERE, Searched
from wbc.utils.files import replacing
from wbc.utils.machine import available_cores
from wbc.utils.progress import progress

log = logging.getLogger(__name__)

_COLUMNS = ("group", "photograph", "overlaps", "x", "y", "features")
_NAMED = 5  # photographs, in the log


def counted_once(photographs: Iterable[Searched], table: Path) -> Iterator[Searched]:
    """The photographs, in which each cell of a group is left once to be answered.

    Of photographs of one group the pictures tell which have a part in common; those without cells are not
    asked.  `table` says so: a row for each pair, with what to add to x and y in the second to have the place
    in the first, and a row without a second for each photograph that none was found for.
    """
    photographs = list(photographs)
    groups = defaultdict(list)
    for place, one in enumerate(photographs):
        if one.cells and not is_slide(one.path):
            groups[one.group].append(place)
    alone: list[str] = []
    with (
        replacing(table) as beside,
        beside.open("w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for group, places in groups.items():
            members = [photographs[place] for place in places]
            shifts = _shifts([one.path for one in members])
            for (first, second), (x, y, features) in shifts.items():
                paths = members[first].path, members[second].path
                rows.writerow([group, *paths, f"{x:.1f}", f"{y:.1f}", features])
            met = {number for pair in shifts for number in pair}
            lonely = [one.path for number, one in enumerate(members) if number not in met]
            rows.writerows([group, path, "", "", "", ""] for path in lonely)
            alone += lonely
            _leave_one(members, shifts)
    if alone:
        log.warning(
            "%d of %d photographs with cells have no part in common with another of their slide that their "
            "pictures show (%s): a cell that is in two of them counts twice; %s lists all",
            *(len(alone), sum(map(len, groups.values()))),
            ", ".join(alone[:_NAMED]) + (", ..." if len(alone) > _NAMED else ""),
            table.name,
        )
    yield from photographs


def _leave_one(photographs: Sequence[Searched], shifts: dict[tuple[int, int], Shift]) -> None:
    """Mark the cells of a group that are answered elsewhere."""
    outlined = [[Outlined(cell.box, cell.at_border) for cell in one.cells] for one in photographs]
    overlaps = [
        Overlap(first, second, round(shift.x), round(shift.y)) for (first, second), shift in shifts.items()
    ]
    names = {
        Which(number, place): one.crop_name(cell)
        for number, one in enumerate(photographs)
        for place, cell in enumerate(one.cells)
    }
    for other, kept in same_cells(outlined, overlaps).items():
        cells = photographs[other.photograph].cells
        cells[other.cell] = cells[other.cell]._replace(status=COUNTED_ELSEWHERE, same_as=names[kept])


def _shifts(paths: Sequence[str]) -> dict[tuple[int, int], Shift]:
    """Of all pairs that have a part in common."""

    def features(path: str) -> Features | None:
        try:
            return features_of(decode(path))
        except ImageError:  # it was readable before: answering says what is wrong
            return None

    def shift(pair: tuple[int, int]) -> Shift | None:
        first, second = (seen[number] for number in pair)
        return None if first is None or second is None else shift_between(first, second)

    pairs = list(combinations(range(len(paths)), 2))
    if not pairs:
        return {}
    with ThreadPoolExecutor(available_cores()) as pool:
        seen = list(pool.map(features, paths))
        shifts = progress(pool.map(shift, pairs), "comparing photographs", "pair", len(pairs))
        return {pair: found for pair, found in zip(pairs, shifts, strict=True) if found is not None}
