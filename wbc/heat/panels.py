"""Pictures of explained images, drawn straight into pixels: thousands are made, matplotlib takes seconds."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from wbc.images.decode import resize
from wbc.utils.files import replacing

# Perceptually uniform: equal steps of heat look equally large, to colour-blind readers too, and lightness
# alone keeps their order. Not inferno or magma, whose purples are those of the stain.
_COLOURS = np.array(colormaps["viridis"].colors, np.float32) * 255  # type: ignore[attr-defined]
# How much of the heat's colour covers the cell: none where nothing speaks for the class, never all of it.
_COVER = (0.8 * np.sqrt(np.linspace(0, 1, len(_COLOURS), dtype=np.float32)))[:, None]
_LIGHTEST = 215  # white field would swallow the yellow of the most heat

NO_HEAT = "no positive heat"  # of an explanation whose map is all zero
_TILE, _THUMB = 224, 96  # side of a picture, pixels
_GAP, _INDENT = 8, 12  # pixels between pictures; from the edge to the title
_BAR = 52  # width of the colour bar with its labels, pixels
_TITLE, _TEXT, _SMALL = 15, 13, 11  # pixels
_LINE = 20  # from one line of text to the next
_INK, _GREY, _PALE, _WRONG = "#000000", "#595959", "#c8c8c8", "#a40000"
_THUMBS_A_ROW = 4  # 840 pixels: over the width of an A4 page, captions still come out at 8 points


@dataclass(frozen=True)
class Decision:
    """What the classifier said of one image; `true` is "" where not known, `target` the class explained."""

    predicted: str
    probability: float
    true: str = ""
    target: str = ""

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


def panel(image: np.ndarray, maps: Mapping[str, np.ndarray | str], decision: Decision) -> np.ndarray:
    """One explained image: the decision, the image, and the heat of each method over the image in grey.

    image: (H, W, 3) uint8.  maps: by method's name (H, W) heat >= 0, or why there is none.  Returns
    (h, w, 3) uint8 whose size depends on the number of maps alone. Each map is scaled by its own maximum.
    One without any heat, or with a value that is not finite, is said to be so over the dimmed image.
    Raises ValueError for no maps, another kind of image, and a map of another shape or with negative heat.
    """
    _check_image(image)
    if not maps:
        raise ValueError("a panel needs at least one map, or the reason why there is none")
    tiles = [("image", _Tile(resize(image, _TILE)))]
    tiles += [(method, _overlay(image, heat, _TILE, method)) for method, heat in maps.items()]

    top = _GAP + 3 * _LINE + 4  # two lines of title, one of methods
    width = _GAP + len(tiles) * (_TILE + _GAP) + _BAR
    canvas = Image.new("RGB", (width, top + _TILE + _GAP), "white")
    draw = ImageDraw.Draw(canvas)
    _draw_title(draw, decision, width)
    for index, (name, tile) in enumerate(tiles):
        left = _GAP + index * (_TILE + _GAP)
        heading = _fitted(name, _font(_TEXT), _TILE)
        draw.text((left + _TILE / 2, top - 5), heading, _INK, _font(_TEXT), anchor="ms")
        _paste(canvas, tile, left, top)
    _draw_bar(canvas, width - _BAR, top)
    if decision.outcome == "wrong":
        draw.rectangle((0, 0, canvas.width - 1, canvas.height - 1), outline=_WRONG, width=3)
    return np.asarray(canvas)


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
        or why there is none, as `panel` has them.
        """
        key = (not decision.true, decision.true or decision.predicted)
        group = self._groups.setdefault(key, _Group())
        thumbs = group.take(decision.outcome)
        if len(thumbs) < self.each:
            image, heat = look()
            _check_image(image)
            overlay = _overlay(image, heat, _THUMB, self.method)
            thumbs.append((decision, _Tile(resize(image, _THUMB)), overlay))

    def draw(self) -> np.ndarray:
        """The page as (h, w, 3) uint8; ValueError before any image was added."""
        if not self._groups:
            raise ValueError("the contact sheet is empty: add at least one explained image")
        shown = {key: self._groups[key].first(self.each) for key in sorted(self._groups)}
        with_target = any(decision.explains_another for group in shown.values() for decision, *_ in group)
        pair = 2 * _THUMB + 2
        step = _THUMB + _LINE * (1 + with_target) + _GAP
        width = _INDENT + _THUMBS_A_ROW * (pair + _INDENT)
        rows = sum(-(-len(group) // _THUMBS_A_ROW) for group in shown.values())
        height = 2 * _GAP + 3 * _LINE + len(shown) * (_LINE + 2 * _GAP) + rows * step
        canvas = Image.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(canvas)

        title = _fitted(self.title, _font(_TITLE, bold=True), width - 2 * _GAP)
        draw.text((_GAP, _GAP + 14), title, _INK, _font(_TITLE, bold=True), anchor="ls")
        legend = _phrase(
            "image and heat by ",
            self.method,
            "; below, the predicted class and its probability; ✗ and frame: wrong",
            width - 2 * _GAP,
        )
        draw.text((_GAP, _GAP + _LINE + 14), legend, _INK, _font(_TEXT), anchor="ls")
        top = _GAP + 3 * _LINE
        for key, group in shown.items():
            heading = self._heading(key, len(group), width - 2 * _GAP)
            draw.text((_GAP, top + 13), heading, _INK, _font(_TEXT, bold=True), anchor="ls")
            draw.line((_GAP, top + _LINE, width - _GAP, top + _LINE), _GREY)
            top += _LINE + _GAP
            for index, (decision, picture, overlay) in enumerate(group):
                row, column = divmod(index, _THUMBS_A_ROW)
                left = _INDENT + column * (pair + _INDENT)
                _paste(canvas, picture, left, top + row * step)
                _paste(canvas, overlay, left + _THUMB + 2, top + row * step)
                _draw_caption(draw, decision, left, top + row * step, pair)
            top += -(-len(group) // _THUMBS_A_ROW) * step + _GAP
        return np.asarray(canvas)

    def write(self, path: Path | str) -> None:
        """Write the page as PNG, whole or not at all."""
        write_picture(path, self.draw())

    def _heading(self, key: tuple[bool, str], shown: int, width: int) -> str:
        group = self._groups[key]
        predicted, name = key
        wrong = "" if predicted else f", {group.counts['wrong']:,} wrong"
        after = f": {shown} of {sum(group.counts.values()):,}{wrong}"
        before = "true class not known, predicted " if predicted else "true class "
        return _phrase(before, name, after, width, bold=True)


def write_picture(path: Path | str, rgb: np.ndarray) -> None:
    """Write (H, W, 3) uint8, whole or not at all; missing folders are made.

    As the suffix says: .jpg takes a sixth of the room, .png keeps every pixel.
    """
    with replacing(path) as beside:
        # PNG level 1 takes a third of the default's time for files a sixth larger.
        options: dict[str, Any] = {"quality": 88} if beside.suffix == ".jpg" else {"compress_level": 1}
        Image.fromarray(rgb).save(beside, **options)


@dataclass(frozen=True)
class _Tile:
    """A square picture and what is written over it."""

    pixels: np.ndarray
    message: str = ""


@dataclass
class _Group:
    """The thumbnails of one class that may be shown, and how many images there were."""

    counts: dict[str, int] = field(default_factory=lambda: {"wrong": 0, "right": 0, "unknown": 0})
    kept: dict[str, list[tuple[Decision, _Tile, _Tile]]] = field(default_factory=dict)

    def take(self, outcome: str) -> list[tuple[Decision, _Tile, _Tile]]:
        self.counts[outcome] += 1
        return self.kept.setdefault(outcome, [])

    def first(self, number: int) -> list[tuple[Decision, _Tile, _Tile]]:
        return [thumb for outcome in self.counts for thumb in self.kept.get(outcome, [])][:number]


def _check_image(image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"the explained image is {image.dtype} {image.shape}: expected (H, W, 3) uint8")


def _overlay(image: np.ndarray, heat: np.ndarray | str, side: int, method: str) -> _Tile:
    # Grey, so that every colour to be seen is heat and none is stain.
    grey = cv2.cvtColor(resize(image, side), cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    dimmed = np.repeat(255 - (255 - grey) * 0.3, 3, axis=2).astype(np.uint8)
    if isinstance(heat, str):
        return _Tile(dimmed, f"failed: {heat}")
    if heat.shape != image.shape[:2]:
        raise ValueError(
            f"{method}: the map is {heat.shape} over an image of {image.shape[:2]}: expected one size"
        )
    heat = heat.astype(np.float32)
    if not np.isfinite(heat).all():
        return _Tile(dimmed, "failed: the heat is not finite")
    if heat.min() < 0:
        raise ValueError(f"{method}: negative heat ({heat.min():g}): pass only what speaks for the class")
    way = cv2.INTER_AREA if max(heat.shape) > side else cv2.INTER_LINEAR
    small = cv2.resize(heat, (side, side), interpolation=way)
    if (peak := small.max()) <= 0:
        return _Tile(dimmed, NO_HEAT)
    return _Tile(_blended(grey * (_LIGHTEST / 255), (small / peak * 255).astype(np.uint8)))


def _blended(grey: np.ndarray, levels: np.ndarray) -> np.ndarray:
    # grey: (H, W, 1) float; levels: (H, W) uint8.
    cover = _COVER[levels]  # (H, W, 1)
    return (grey * (1 - cover) + (_COLOURS * _COVER)[levels]).astype(np.uint8)


def _paste(canvas: Image.Image, tile: _Tile, left: int, top: int) -> None:
    side = len(tile.pixels)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((left - 1, top - 1, left + side, top + side), outline=_PALE)  # some fields are pure white
    canvas.paste(Image.fromarray(tile.pixels), (left, top))
    if not tile.message:
        return
    font = _font(_TEXT if side == _TILE else _SMALL)
    lines = textwrap.wrap(tile.message, side // 8, max_lines=5, placeholder=" …")
    text = "\n".join(_fitted(line, font, side - 8) for line in lines)
    middle = (left + side / 2, top + side / 2)
    x0, y0, x1, y1 = draw.textbbox(middle, text, font, anchor="mm", align="center")
    draw.rectangle((x0 - 3, y0 - 3, x1 + 3, y1 + 3), "white")
    draw.text(middle, text, _INK, font, anchor="mm", align="center")


def _draw_title(draw: ImageDraw.ImageDraw, decision: Decision, width: int) -> None:
    left, line = float(_INDENT), _GAP + 14
    if decision.outcome != "unknown":
        badge, font = decision.outcome.upper(), _font(_TEXT, bold=True)
        end = left + font.getlength(badge) + 10
        is_wrong = decision.outcome == "wrong"
        draw.rectangle(
            (left, line - 14, end, line + 4), _WRONG if is_wrong else "white", _WRONG if is_wrong else _INK
        )
        draw.text((left + 5, line - 1), badge, "white" if is_wrong else _INK, font, anchor="ls")
        left = end + _GAP
    predicted = _phrase(
        "predicted ", decision.predicted, f"  {decision.percent}", width - left - _GAP, bold=True, size=_TITLE
    )
    draw.text((left, line), predicted, _INK, _font(_TITLE, bold=True), anchor="ls")

    dot, room = "   ·   ", width - 2.0 * _INDENT
    if decision.explains_another:
        room = (room - _font(_TEXT).getlength(dot)) / 2
    facts = [_phrase("true class ", decision.true, "", room) if decision.true else "true class not known"]
    if decision.explains_another:
        facts.append(_phrase("heat shown for ", decision.target, "", room))
    draw.text((_INDENT, line + _LINE), dot.join(facts), _INK, _font(_TEXT), anchor="ls")


def _draw_bar(canvas: Image.Image, left: int, top: int) -> None:
    levels = np.repeat(np.linspace(255, 0, _TILE).astype(np.uint8)[:, None], 12, axis=1)
    grey = np.full((*levels.shape, 1), 150, np.float32)  # the colours as they look over a cell
    canvas.paste(Image.fromarray(_blended(grey, levels)), (left, top))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((left, top, left + 11, top + _TILE - 1), outline=_GREY)
    draw.text((left + 16, top + 10), "max", _INK, _font(_SMALL), anchor="ls")
    draw.text((left + 16, top + _TILE - 1), "0", _INK, _font(_SMALL), anchor="ls")


def _draw_caption(draw: ImageDraw.ImageDraw, decision: Decision, left: int, top: int, width: int) -> None:
    wrong = decision.outcome == "wrong"
    caption = _phrase("✗ " if wrong else "", decision.predicted, f" {decision.percent}", width, bold=wrong)
    draw.text((left, top + _THUMB + 15), caption, _INK, _font(_TEXT, bold=wrong), anchor="ls")
    if decision.explains_another:
        target = _phrase("heat for ", decision.target, "", width)
        draw.text((left, top + _THUMB + _LINE + 12), target, _INK, _font(_TEXT), anchor="ls")
    if wrong:
        draw.rectangle((left - 3, top - 3, left + width + 2, top + _THUMB + 2), outline=_WRONG, width=3)


@functools.cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    # The figures' font: the one inside Pillow has no é, no Greek or Cyrillic letter and no bold.
    return ImageFont.truetype(
        findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")), size
    )


def _phrase(before: str, name: str, after: str, width: float, bold: bool = False, size: int = _TEXT) -> str:
    """A sentence of at most `width` pixels: its name gives way, for the rest carries the meaning."""
    font = _font(size, bold)
    return before + _fitted(name, font, width - font.getlength(before + after)) + after


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """`text` in one line of at most `width` pixels, cut in the middle: names often differ at the end only."""
    text = " ".join(text.split())
    keep, shown = len(text), text
    while keep > 1 and font.getlength(shown) > width:
        keep -= 1
        shown = f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}"
    return shown


def panel_file(folder: Path, number: int) -> Path:
    """The panel of image `number` of images.csv."""
    return folder / "panels" / f"{number:06d}.jpg"
