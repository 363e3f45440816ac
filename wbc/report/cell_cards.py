"""The cells that a report shows: pictures with name, true class, prediction and probability together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from wbc.heat.overlay import beside_heat
from wbc.heat.thumbnails import HeatOf, Row, decision_of, small_picture
from wbc.images.prepare import Prepare
from wbc.pages.cards import Card, card_grid
from wbc.pages.html import picture
from wbc.plain.answers import NOT_CALIBRATED
from wbc.report.decisions import examples, right_decisions, wrong_decisions
from wbc.report.set_result import SetResult
from wbc.utils.short_names import shortened

_ERRORS = 24  # on a page, over all sets
_RIGHT = 24  # of a set, shared among its classes
_SIDE = 168  # pixels of a picture; half as many on the page, so that it is sharp on fine screens


class CellCards:
    """Grids of cards of one model's decisions, images as the network sees them.

    names: path -> what the image is called.  heat_of: where the heat comes from, by `method`.
    """

    def __init__(self, names: Mapping[str, str], prepare: Prepare, heat_of: HeatOf, method: str) -> None:
        self.names = names
        self.prepare = prepare
        self.heat_of = heat_of
        self.method = method

    def examples(self, result: SetResult, seed: int) -> Markup:
        """Answers of one set, drawn by `seed`: some right, some wrong, some held back; without heat."""
        return self._grid(examples(result, seed), with_heat=False)

    def errors(self, results: Sequence[SetResult]) -> Markup:
        """The wrong answers with the highest probability over all sets; nothing where there is none."""
        rows = wrong_decisions(results).head(_ERRORS)
        return self._grid(rows, with_set=len(results) > 1)

    def right(self, result: SetResult, seed: int) -> Markup:
        """Right decisions of one set, drawn by `seed`, equally many of each class; nothing for none."""
        each = max(1, _RIGHT // len(result.classes))
        rows = right_decisions(result, seed).groupby("label", sort=False).head(each)
        return self._grid(rows.sort_values("label", kind="stable"))

    def _grid(self, rows: pd.DataFrame, with_heat: bool = True, with_set: bool = False) -> Markup:
        return card_grid(self._cards(rows, with_heat, with_set), small=not with_heat)

    def _cards(self, rows: pd.DataFrame, with_heat: bool, with_set: bool) -> Iterator[Card]:
        for row in rows.to_dict("records"):
            name = self.names[row["path"]]
            image, heat = small_picture(row, self.heat_of if with_heat else _no_heat, self.prepare, _SIDE)
            alt = f"{name}, true class {row['label']}"
            if with_heat:
                image, alt = beside_heat(image, heat, _SIDE, self.method), f"{alt}, beside its heat"
            decision = decision_of(row)
            said = f"{decision.predicted} {decision.percent}"
            if row["status"] != NOT_CALIBRATED:
                said += f", {row['status']}"
            lines = [said, f"true class {decision.true}"]
            if with_set:
                lines.append(f"data set {row['data']}")
            mark = decision.outcome if decision.outcome == "wrong" else ""
            yield Card(
                picture(image, alt, photograph=True, lazy=False), shortened(name), row["path"], lines, mark
            )


def _no_heat(row: Row) -> np.ndarray:
    return np.zeros((1, 1), np.float32)
