"""Lines of text of a known width, drawn straight into pixels: what does not fit gives way in the middle."""

from __future__ import annotations

import functools

from matplotlib.font_manager import FontProperties, findfont
from PIL import ImageFont

INK, GREY, PALE, WRONG = "#000000", "#595959", "#c8c8c8", "#a40000"


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The figures' font, `size` pixels high."""
    # The one inside Pillow has no é, no Greek or Cyrillic letter and no bold.
    return ImageFont.truetype(
        findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")), size
    )


def phrase(before: str, name: str, after: str, width: float, size: int, bold: bool = False) -> str:
    """A sentence of at most `width` pixels: its name gives way, for the rest carries the meaning."""
    letters = font(size, bold)
    return before + fitted(name, letters, width - letters.getlength(before + after)) + after


def fitted(text: str, letters: ImageFont.FreeTypeFont, width: float) -> str:
    """`text` in one line of at most `width` pixels, cut in the middle: names often differ at the end only."""
    text = " ".join(text.split())
    keep, shown = len(text), text
    while keep > 1 and letters.getlength(shown) > width:
        keep -= 1
        shown = f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}"
    return shown


def wrapped(text: str, letters: ImageFont.FreeTypeFont, width: float, most: int) -> list[str]:
    """`text` in at most `most` lines of at most `width` pixels, parted behind commas; the last gives way."""
    lines: list[str] = []
    for part in text.split(", "):
        longer = f"{lines[-1]}, {part}" if lines else part
        if lines and (letters.getlength(longer) <= width or len(lines) == most):
            lines[-1] = longer
        else:
            lines = [*lines[:-1], f"{lines[-1]},", part] if lines else [part]
    return [fitted(line, letters, width) for line in lines]
