"""What all figures share: legible in print, in grey and to colour-blind readers; no window, no pyplot."""

import textwrap
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wbc.utils.files import replacing

DPI = 180
TITLE, TEXT, SMALL = 11, 9, 8  # points
GREY = "#767676"  # the palest grey that still reads as text on white (WCAG AA, 4.5 : 1)

# Okabe & Ito 2008, told apart with any colour vision; its yellow is too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
# Six dashes and seven colours: 42 classes before a line looks like another. Dashes carry the grey print.
DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.5)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (9, 2.5)),
    (0, (3, 1.2, 1, 1.2, 1, 1.2)),
)


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of line number `index`, as keywords of `Axes.plot`."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    # The canvas is set by hand so that no backend is asked for: pyplot would look for a display.
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes) -> None:
    """Pale grid, small ticks, and no frame above and to the right."""
    axes.tick_params(labelsize=TEXT)
    axes.grid(color="#e0e0e0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def literal(text: str) -> str:
    """`text` as it is: a pair of dollars would be typeset as a formula, or raise as a malformed one."""
    return text.replace("$", r"\$")


def wrapped(text: str, characters: int) -> str:
    """`literal` text in lines of so many characters."""
    return literal(textwrap.fill(text, max(characters, 1)))


def percentage(share: float) -> str:
    """`share`, in 0..1, to a tenth of a percent; neither 0 nor 100 % where it is not."""
    # One image of 4,000 is not "0.0 %", and 3,999 of them are not "100.0 %".
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def save_figure(figure: Figure, path: Path | str, trim: bool = True, svg: bool = True) -> None:
    """Writes `figure` as PNG and beside it as SVG; a reader sees the old file or the whole new one.

    Equal figures give equal files.  trim: to its content; else it keeps its size.  svg: whether there
    is more to it than pixels.  Missing folders are made.
    Raises ValueError for a name that does not end in .png.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"figures are named by their PNG: {path} should end in .png; an SVG comes beside it")
    options: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.08} if trim else {}
    with replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=DPI, **options)
    if not svg:
        return
    # Names inside an SVG are random and its date that of the day unless they are given.
    with replacing(path.with_suffix(".svg")) as beside, rc_context({"svg.hashsalt": "wbc"}):
        figure.savefig(beside, format="svg", dpi=DPI, metadata={"Date": None}, **options)
