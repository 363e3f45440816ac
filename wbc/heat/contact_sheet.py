"""The contact sheet of a table of classified images, drawn straight into pixels, for print.

Over the width of an A4 page at 300 dots per inch, with letters of 8 points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from wbc.heat.lettering import GREY, INK, WRONG, fitted, font, phrase
from wbc.heat.overlay import Tile, heat_tile, image_tile, paste
from wbc.heat.panels import Decision, write_picture
from wbc.heat.thumbnails import HeatOf, Row, decision_of, small_picture
from wbc.images.prepare import Prepare

DPI = 300
_THUMB = 240  # side of a picture, pixels
_THUMBS_A_ROW = 4  # 2,090 pixels: 177 mm, as wide as the text of an A4 page
_BETWEEN = 5  # pixels between the image and its heat
_GAP, _INDENT = 20, 30  # pixels between rows; from the edge, and between columns
_TITLE, _TEXT, _SMALL = 38, 32, 27  # pixels
_LINE = 50  # from one line of text to the next
_RISE = 34  # from the top of a line to where its letters stand


class ContactSheet:
    """A page of thumbnails, image beside heat: a group for each true class, its errors first.

    Where the true class is not known, the group is that of the predicted one. A group shows the `each` that
    came first and counts all, so memory stays flat however many images are added.
    """

    def __init__(self, title: str, method: str, each: int = 8) -> None:
        self.title = title
        self.method = method
        self.each = each
        self._groups: dict[tuple[bool, str], _Group] = {}

    def add(self, decision: Decision, look: Callable[[], tuple[np.ndarray, np.ndarray | str]]) -> None:
        """Take one image.  look: called if it may be shown, for the image (H, W, 3) uint8 and its heat (H, W)
        or why there is none, as `heat_tile` has them.
        """
        key = (not decision.true, decision.true or decision.predicted)
        group = self._groups.setdefault(key, _Group())
        thumbs = group.take(decision.outcome)
        if len(thumbs) < self.each:
            image, heat = look()
            thumbs.append((decision, image_tile(image, _THUMB), heat_tile(image, heat, _THUMB, self.method)))

    def draw(self) -> np.ndarray:
        """The page as (h, w, 3) uint8; ValueError before any image was added."""
        if not self._groups:
            raise ValueError("the contact sheet is empty: add at least one explained image")
        shown = {key: self._groups[key].first(self.each) for key in sorted(self._groups)}
        with_target = any(decision.explains_another for group in shown.values() for decision, *_ in group)
        pair = 2 * _THUMB + _BETWEEN
        step = _THUMB + _LINE * (1 + with_target) + _GAP
        rows = sum(-(-len(group) // _THUMBS_A_ROW) for group in shown.values())
        height = _GAP + 3 * _LINE + len(shown) * (_LINE + 2 * _GAP) + rows * step
        width = _INDENT + _THUMBS_A_ROW * (pair + _INDENT)
        canvas = Image.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(canvas)
        title = fitted(self.title, font(_TITLE, bold=True), width - 2 * _GAP)
        draw.text((_GAP, _GAP + _RISE), title, INK, font(_TITLE, bold=True), anchor="ls")
        legend = phrase(
            "image and heat by ",
            self.method,
            "; below, the predicted class and its probability; ✗ and frame: wrong",
            width - 2 * _GAP,
            _TEXT,
        )
        draw.text((_GAP, _GAP + _LINE + _RISE), legend, INK, font(_TEXT), anchor="ls")
        top = _GAP + 3 * _LINE
        for key, group in shown.items():
            heading = self._heading(key, len(group), width - 2 * _GAP)
            draw.text((_GAP, top + _RISE), heading, INK, font(_TEXT, bold=True), anchor="ls")
            draw.line((_GAP, top + _LINE, width - _GAP, top + _LINE), GREY, 2)
            top += _LINE + _GAP
            for index, (decision, picture, overlay) in enumerate(group):
                row, column = divmod(index, _THUMBS_A_ROW)
                left = _INDENT + column * (pair + _INDENT)
                paste(canvas, picture, left, top + row * step, _SMALL)
                paste(canvas, overlay, left + _THUMB + _BETWEEN, top + row * step, _SMALL)
                _draw_caption(draw, decision, left, top + row * step, pair)
            top += -(-len(group) // _THUMBS_A_ROW) * step + _GAP
        return np.asarray(canvas)

    def write(self, path: Path | str) -> None:
        """Write the page as PNG, whole or not at all."""
        write_picture(path, self.draw(), DPI)

    def _heading(self, key: tuple[bool, str], shown: int, width: int) -> str:
        group = self._groups[key]
        predicted, name = key
        wrong = "" if predicted else f", {group.counts['wrong']:,} wrong"
        after = f": {shown} of {sum(group.counts.values()):,}{wrong}"
        before = "true class not known, predicted " if predicted else "true class "
        return phrase(before, name, after, width, _TEXT, bold=True)


def write_contact_sheet(
    path: Path, title: str, method: str, rows: pd.DataFrame, heat_of: HeatOf, prepare: Prepare
) -> None:
    """Errors first in each class, images as the network sees them; one that has gone since is shown as such.

    rows: as `Row` says.
    """
    sheet = ContactSheet(title, method)
    for row in rows.to_dict("records"):

        def look(row: Row = row) -> tuple[np.ndarray, np.ndarray | str]:
            return small_picture(row, heat_of, prepare, _THUMB)

        sheet.add(decision_of(row), look)
    sheet.write(path)


@dataclass
class _Group:
    """The thumbnails of one class that may be shown, and how many images there were."""

    counts: dict[str, int] = field(default_factory=lambda: {"wrong": 0, "right": 0, "unknown": 0})
    kept: dict[str, list[tuple[Decision, Tile, Tile]]] = field(default_factory=dict)

    def take(self, outcome: str) -> list[tuple[Decision, Tile, Tile]]:
        self.counts[outcome] += 1
        return self.kept.setdefault(outcome, [])

    def first(self, number: int) -> list[tuple[Decision, Tile, Tile]]:
        return [thumb for outcome in self.counts for thumb in self.kept.get(outcome, [])][:number]


def _draw_caption(draw: ImageDraw.ImageDraw, decision: Decision, left: int, top: int, width: int) -> None:
    wrong = decision.outcome == "wrong"
    before, after = "✗ " if wrong else "", f" {decision.percent}"
    caption = phrase(before, decision.predicted, after, width, _TEXT, bold=wrong)
    draw.text((left, top + _THUMB + 38), caption, INK, font(_TEXT, bold=wrong), anchor="ls")
    if decision.explains_another:
        target = phrase("heat for ", decision.target, "", width, _TEXT)
        draw.text((left, top + _THUMB + _LINE + 32), target, INK, font(_TEXT), anchor="ls")
    if wrong:
        draw.rectangle((left - 7, top - 7, left + width + 6, top + _THUMB + 6), outline=WRONG, width=7)
