"""What the page is told of cells: those that a search finds, and one with its history and photograph."""

from __future__ import annotations

from typing import Any

import numpy as np
from starlette.exceptions import HTTPException

from wbc.errors import ImageError
from wbc.reviewing.order import ORDERS
from wbc.reviewing.sent import ALL, CHANGED, SEEN, SPLIT, TO_DO, Search
from wbc.reviewing.state import Review
from wbc.reviewing.verdicts import OPEN


def found_cells(review: Review, search: Search) -> dict[str, Any]:
    """A page of those that a reviewer looks for, and how many there are in all.

    Raises HTTPException for an order or a filter that there is none of.
    """
    if search.order not in ORDERS:
        raise HTTPException(400, f"order: one of {', '.join(ORDERS)}")
    mine = review.decisions.of(search.reviewer or "")
    order = review.order(search.order)
    places = np.flatnonzero(_matching(review, search, mine)[order])
    if search.before is None:
        first = int(np.searchsorted(places, search.after, "right"))
    else:
        first = max(0, int(np.searchsorted(places, search.before)) - search.count)
    shown = places[first : first + search.count]
    return {
        "total": len(places),
        "first": first,
        "cells": [_brief(review, int(order[place]), int(place), mine, search.reviewer) for place in shown],
    }


def _matching(review: Review, search: Search, mine: np.ndarray) -> np.ndarray:
    """(N,) bool."""
    cells = review.cells
    found = np.ones(len(cells), bool)
    if search.status is not None:
        found &= cells.status == search.status
    if search.group is not None:
        found &= cells.group == search.group
    if search.verdict is not None:
        found &= np.where(mine == OPEN, cells.prediction, mine) == search.verdict
    if search.name:
        found &= cells.named(search.name)
    if search.show == TO_DO:
        found &= mine == OPEN
    elif search.show == SEEN:
        found &= mine != OPEN
    elif search.show == CHANGED:
        found &= (mine != OPEN) & (mine != cells.prediction)
    elif search.show == SPLIT:
        found &= _split(review, search.reviewer, mine)
    elif search.show != ALL:
        raise HTTPException(400, f"show: one of {', '.join((ALL, TO_DO, SEEN, CHANGED, SPLIT))}")
    return found


def _split(review: Review, reviewer: str | None, mine: np.ndarray) -> np.ndarray:
    """Where another says something else of a cell than the reviewer does."""
    split = np.zeros(len(mine), bool)
    for name in review.decisions.reviewers:
        if name != reviewer:
            others = review.decisions.of(name)
            split |= (others != OPEN) & (mine != OPEN) & (others != mine)
    return split


def _brief(review: Review, cell: int, place: int, mine: np.ndarray, reviewer: str | None) -> dict[str, Any]:
    cells = review.cells
    prediction = int(cells.prediction[cell])
    return {
        "id": cell,
        "place": place,
        "prediction": prediction,
        "probability": round(float(cells.probabilities[cell, prediction]), 4),
        "status": int(cells.status[cell]),
        "verdict": int(mine[cell]),
        "others": _others(review, cell, mine, reviewer),
        "name": cells.path(cell).rpartition("/")[2],
    }


def _others(review: Review, cell: int, mine: np.ndarray, reviewer: str | None) -> list[tuple[str, int]]:
    """What others said; nothing while the reviewer has not: a second opinion is given without the first."""
    if mine[cell] == OPEN:
        return []
    said = [(name, int(review.decisions.of(name)[cell])) for name in review.decisions.reviewers]
    return [(name, verdict) for name, verdict in said if name != reviewer and verdict != OPEN]


def one_cell(review: Review, cell: int, reviewer: str | None) -> dict[str, Any]:
    """All that is told of a cell: its answer, what was said of it, and the photograph that it is in."""
    cells, mine = review.cells, review.decisions.of(reviewer or "")
    history = [row for row in review.decisions.rows(cell) if row.reviewer == reviewer or mine[cell] != OPEN]
    box = cells.box(cell)
    found = _brief(review, cell, -1, mine, reviewer) | {
        "path": cells.path(cell),
        "group": cells.groups[cells.group[cell]],
        "label": cells.labels[cell].as_py(),
        "set": cells.sets[cell].as_py(),
        "probabilities": [round(float(value), 4) for value in cells.probabilities[cell]],
        "history": [
            {
                "at": row.at,
                "reviewer": row.reviewer,
                "kind": row.kind,
                "before": row.before,
                "after": row.after,
            }
            for row in history
        ],
    }
    if box is not None:
        found["photograph"] = _photograph(review, cell, mine, reviewer)
    return found


def _photograph(review: Review, cell: int, mine: np.ndarray, reviewer: str | None) -> dict[str, Any] | None:
    """The one that the cell is in, with the boxes of all its cells; None where it cannot be read any more."""
    cells = review.cells
    try:
        size = review.pictures.size(cell)
    except ImageError:
        return None
    here = np.flatnonzero(cells.photograph == cells.photograph[cell]).tolist()
    return {
        "name": cells.photograph_path(cell).rpartition("/")[2],
        "size": size,
        "cells": [_brief(review, one, -1, mine, reviewer) | {"box": cells.box(one)} for one in here],
    }
