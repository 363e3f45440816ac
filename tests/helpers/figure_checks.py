"""Made-up scores to draw, and what stands in a drawn figure."""

from unittest import mock

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

CLASSES = ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")
LONG = (
    *CLASSES,
    "Erythroblast (nucleated red cell)",
    "Immature granulocyte (promyelocyte)",
    "Neutrophil, band form",
    "Large granular lymphocyte",
    "Plasma cell",
    "Platelet",
    "Blast",
)


def scores(classes: int, images: int, lean: float, absent: tuple[int, ...] = ()):
    rng = np.random.default_rng(0)
    labels = rng.choice([index for index in range(classes) if index not in absent], images)
    logits = rng.normal(size=(images, classes))
    logits[np.arange(images), labels] += lean
    return torch.from_numpy(logits).softmax(dim=1), torch.from_numpy(labels)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts drawn over each other, slanted ones left out (their boxes are larger than they)."""
    figure.canvas.draw()  # settles the layout
    drawn: list[tuple[str, Bbox]] = []
    draw = Text.draw

    def record(text: Text, renderer: RendererBase) -> None:
        if text.get_visible() and text.get_text().strip() and text.get_rotation() % 90 == 0:
            drawn.append((text.get_text(), text.get_window_extent(renderer).padded(-1)))
        draw(text, renderer)

    with mock.patch.object(Text, "draw", record):
        figure.canvas.draw()
    return [
        (text, other)
        for index, (text, box) in enumerate(drawn)
        for other, other_box in drawn[:index]
        if box.overlaps(other_box)
    ]


def main_lines(axes: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {str(line.get_label()): line.get_data() for line in axes.get_lines() if len(line.get_xdata())}
