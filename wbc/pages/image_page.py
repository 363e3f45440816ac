"""A page of images with captions."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wbc.pages.figure_style import SMALL, TITLE, new_figure, wrapped


def image_page_figure(
    images: Sequence[np.ndarray], captions: Sequence[str], title: str, columns: int
) -> Figure:
    """A page of images in rows of `columns`, each with its caption above it.

    images: (H, W, 3) uint8 each, of any and different sizes.  captions: one an image, wrapped to its width.
    Raises ValueError for no images, another number of captions, fewer than one column, and an array that
    is no such image, naming its place.
    """
    if not images or len(captions) != len(images) or columns < 1:
        raise ValueError(
            f"a page of images needs at least one image, a caption for each and one column or more: "
            f"got {len(images)} images, {len(captions)} captions, {columns} columns"
        )
    for index, image in enumerate(images):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"image {index} ({captions[index]}) is {image.dtype} {image.shape}: expected (H, W, 3) uint8"
            )
    columns = min(columns, len(images))
    side = max(1.15, min(1.9, 7.6 / columns))  # inches
    drawn = [wrapped(caption, int(side / 0.072)) for caption in captions]
    rows = math.ceil(len(images) / columns)
    row_captions = [drawn[first : first + columns] for first in range(0, len(drawn), columns)]
    lines = sum(1 + max(caption.count("\n") for caption in captions) for captions in row_captions)
    figure = new_figure(columns * side + 0.2, rows * (side + 0.1) + 0.14 * lines + 0.4)
    no_ticks: dict[str, Any] = {"xticks": [], "yticks": []}  # unseen ones would be laid out too
    panels = figure.subplots(rows, columns, squeeze=False, subplot_kw=no_ticks).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, image, caption in zip(panels, images, drawn, strict=False):  # the last row may be short
        axes.imshow(image, interpolation="antialiased")
        axes.set_title(caption, fontsize=SMALL, pad=3)
    figure.suptitle(wrapped(title, int(columns * side / 0.09)), fontsize=TITLE)
    return figure
