"""The panel of one explained image, drawn straight into pixels: thousands are made, matplotlib is slow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from wbc.heat.known_strip import KnownStrip
from wbc.heat.lettering import GREY, INK, WRONG, fitted, font, phrase, wrapped
from wbc.heat.overlay import blended, heat_tile, image_tile, paste
from wbc.plain.words import Reasons
from wbc.utils.files import replacing

TILE = 224  # side of a picture, pixels
GAP, _INDENT = 8, 12  # pixels between pictures; from the edge to the title
_BAR = 52  # width of the colour bar with its labels, pixels
_TITLE, _TEXT, _SMALL = 15, 13, 11  # pixels
_LINE = 20  # from one line of text to the next
TOP = GAP + 3 * _LINE + 4  # of the pictures: two lines of title, one of methods
_WORD_LINES, _WORD_LINE = 4, 16  # below the pictures of a model with words; pixels from one to the next
_AFTER_TITLE = 84  # pixels from the title of a line of words to its words
REASONS = GAP + _WORD_LINES * _WORD_LINE  # what they take


@dataclass(frozen=True)
class Decision:
    """What the classifier said of one image; `true` is "" where not known, `target` the class explained.

    status, set: of the model's answer, "" and () where nothing is told of it.  reasons: in words,
    None of a model without.
    """

    predicted: str
    probability: float
    true: str = ""
    target: str = ""
    status: str = ""
    set: tuple[str, ...] = ()
    reasons: Reasons | None = None

    @property
    def outcome(self) -> str:
        """Either "right", "wrong", or "unknown" where the true class is not known."""
        if not self.true:
            return "unknown"
        return "right" if self.true == self.predicted else "wrong"

    @property
    def percent(self) -> str:
        """The probability; what is not quite certain is not rounded to certainty."""
        if 0.9995 <= self.probability < 1:
            return ">99.9 %"
        return f"{100 * self.probability:.1f} %"

    @property
    def explains_another(self) -> bool:
        """Whether the heat speaks for another class than the predicted one."""
        return self.target not in ("", self.predicted)


def panel(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray | str],
    decision: Decision,
    known: KnownStrip | None = None,
) -> np.ndarray:
    """One explained image: the decision, the image, and the heat of each method over the image in grey.

    image: (H, W, 3) uint8.  maps: by method's name (H, W) heat >= 0, or why there is none.  Returns
    (h, w, 3) uint8 whose size depends on the number of maps alone, and on what the model has to be put below:
    words, and then known cells that this one is like.
    Raises ValueError for no maps, and as `image_tile` and `heat_tile` do.
    """
    tiles = [("image", image_tile(image, TILE))]
    if not maps:
        raise ValueError("a panel needs at least one map, or the reason why there is none")
    tiles += [(method, heat_tile(image, heat, TILE, method)) for method, heat in maps.items()]

    width = GAP + len(tiles) * (TILE + GAP) + _BAR
    above_known = TOP + TILE + GAP + (REASONS if decision.reasons is not None else 0)
    height = above_known + (0 if known is None else known.height)
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    _draw_title(draw, decision, width)
    for index, (name, tile) in enumerate(tiles):
        left = GAP + index * (TILE + GAP)
        heading = fitted(name, font(_TEXT), TILE)
        draw.text((left + TILE / 2, TOP - 5), heading, INK, font(_TEXT), anchor="ms")
        paste(canvas, tile, left, TOP, _TEXT)
    _draw_bar(canvas, width - _BAR, TOP)
    if decision.reasons is not None:
        _draw_reasons(draw, decision.reasons, TOP + TILE + GAP, width - 2 * _INDENT)
    if known is not None:
        known.draw(canvas, _INDENT, above_known)
    if decision.outcome == "wrong":
        draw.rectangle((0, 0, canvas.width - 1, canvas.height - 1), outline=WRONG, width=3)
    return np.asarray(canvas)


def panel_file(folder: Path, number: int) -> Path:
    """The panel of image `number` of images.csv."""
    return folder / "panels" / f"{number:06d}.jpg"


def write_picture(path: Path | str, rgb: np.ndarray, dpi: int | None = None) -> None:
    """Write (H, W, 3) uint8, whole or not at all; missing folders are made.

    As the suffix says: .jpg takes a sixth of the room, .png keeps every pixel.  dpi: for print.
    """
    with replacing(path) as beside:
        # PNG level 1 takes a third of the default's time for files a sixth larger.
        options: dict[str, Any] = {"quality": 88} if beside.suffix == ".jpg" else {"compress_level": 1}
        if dpi is not None:
            options["dpi"] = (dpi, dpi)
        Image.fromarray(rgb).save(beside, **options)


def _draw_title(draw: ImageDraw.ImageDraw, decision: Decision, width: int) -> None:
    left, line = float(_INDENT), GAP + 14
    if decision.outcome != "unknown":
        badge, bold = decision.outcome.upper(), font(_TEXT, bold=True)
        end = left + bold.getlength(badge) + 10
        is_wrong = decision.outcome == "wrong"
        draw.rectangle(
            (left, line - 14, end, line + 4), WRONG if is_wrong else "white", WRONG if is_wrong else INK
        )
        draw.text((left + 5, line - 1), badge, "white" if is_wrong else INK, bold, anchor="ls")
        left = end + GAP
    predicted = phrase(
        "predicted ", decision.predicted, f"  {decision.percent}", width - left - GAP, _TITLE, bold=True
    )
    draw.text((left, line), predicted, INK, font(_TITLE, bold=True), anchor="ls")

    dot, room = "   ·   ", width - 2.0 * _INDENT
    if decision.explains_another:
        room = (room - font(_TEXT).getlength(dot)) / 2
    facts = ["true class not known"]
    if decision.true:
        facts = [phrase("true class ", decision.true, "", room, _TEXT)]
    if decision.explains_another:
        facts.append(phrase("heat shown for ", decision.target, "", room, _TEXT))
    draw.text((_INDENT, line + _LINE), dot.join(facts), INK, font(_TEXT), anchor="ls")


def _draw_reasons(draw: ImageDraw.ImageDraw, reasons: Reasons, top: int, room: float) -> None:
    letters = font(_SMALL)
    speaking = [
        ("for: ", wrapped(reasons.speak_for or "no word speaks for it", letters, room - _AFTER_TITLE, 2)),
        ("against: ", wrapped(reasons.speak_against or "none", letters, room - _AFTER_TITLE, 1)),
        ("words alone: ", wrapped(reasons.told, letters, room - _AFTER_TITLE, 1)),
    ]
    line = top + _WORD_LINE
    for title, lines in speaking:
        draw.text((_INDENT, line), title, INK, font(_SMALL, bold=True), anchor="ls")
        for text in lines:
            draw.text((_INDENT + _AFTER_TITLE, line), text, INK, letters, anchor="ls")
            line += _WORD_LINE


def _draw_bar(canvas: Image.Image, left: int, top: int) -> None:
    levels = np.repeat(np.linspace(255, 0, TILE).astype(np.uint8)[:, None], 12, axis=1)
    grey = np.full((*levels.shape, 1), 150, np.float32)  # the colours as they look over a cell
    canvas.paste(Image.fromarray(blended(grey, levels)), (left, top))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((left, top, left + 11, top + TILE - 1), outline=GREY)
    draw.text((left + 16, top + 10), "max", INK, font(_SMALL), anchor="ls")
    draw.text((left + 16, top + TILE - 1), "0", INK, font(_SMALL), anchor="ls")
