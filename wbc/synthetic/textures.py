"""Edges, granules and chromatin as a sharp objective shows them, of any coarseness and strength."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.synthetic.parts import DrawnCell, clumped, fraction, granular
from wbc.synthetic.shapes import Field, Layer, Sheet, arc, between, blob


def ragged(
    sheet: Sheet, rng: np.random.Generator, radius_um: float, wobble: float = 0.045, feet: float = 0.06
) -> Layer:
    """The body of a cell, from smooth to ragged or hairy; a bleb may have come off.

    wobble: see `wbc.synthetic.shapes.blob`; feet: how often the cell puts out some.
    """
    layer = sheet.blank()
    form = blob(rng, radius_um, wobble, between(rng, 1.0, 1.18))
    if rng.random() < 0.4:
        form = form * (1 + rng.normal(0.0, between(rng, 0.005, 0.035), len(form)))[:, None]
    sheet.fill(layer, form)
    if rng.random() < feet:
        for place in arc(radius_um, rng.uniform(0, 2 * np.pi, int(rng.integers(1, 4)))):
            foot = blob(rng, radius_um * between(rng, 0.20, 0.38), 0.12, between(rng, 1.0, 1.5))
            sheet.fill(layer, place * between(rng, 0.65, 0.85) + foot)
    if rng.random() < 0.25:
        count = int(rng.integers(10, 60))
        places = form[rng.integers(0, len(form), count)] * rng.uniform(0.95, 1.06, (count, 1))
        sheet.discs(layer, places, rng.uniform(0.12, between(rng, 0.25, 0.7), count))
    return layer


def packed(
    sheet: Sheet,
    rng: np.random.Generator,
    reach_um: float,
    size_um: tuple[float, float],
    coverage: tuple[float, float],
) -> Field:
    """Granules of about one radius out of `size_um`; (side, side) in [0, 1].

    coverage: range of their areas together over that of the cell.
    """
    size = float(np.exp(rng.uniform(*np.log(size_um))))
    count = int(between(rng, *coverage) * (reach_um / size) ** 2)
    return granular(sheet, rng, reach_um, count, (0.8 * size, 1.25 * size))


def with_chromatin(
    sheet: Sheet,
    rng: np.random.Generator,
    body: Layer,
    nucleus: Layer,
    cytoplasm: NDArray[np.float32],
    radius_um: float,
) -> DrawnCell:
    """A nucleus on its cytoplasm: coarse or fine, even or speckled; its rim, and the cell's, dark or not."""
    nucleus = np.minimum(nucleus, body)
    covered = fraction(nucleus)
    size_um = float(np.exp(between(rng, np.log(0.3), np.log(1.6))))
    depth = between(rng, 0.04, 0.28)
    chromatin = clumped(sheet, rng, size_um, depth)
    if rng.random() < 0.5:
        size = between(rng, 0.10, 0.30)
        specks = granular(sheet, rng, radius_um, int(rng.integers(40, 260)), (0.7 * size, 1.3 * size))
        chromatin *= 1 - between(rng, 0.2, 0.7) * specks
    if rng.random() < 0.4:
        chromatin += between(rng, 0.1, 0.5) * _rim(sheet, nucleus, between(rng, 0.15, 0.45))
    azure = covered * chromatin * between(rng, 0.55, 1.45)
    if rng.random() < 0.35:
        cytoplasm = cytoplasm * (1 + between(rng, 0.2, 1.2) * _rim(sheet, body, between(rng, 0.2, 0.6)))
    dyes = cytoplasm * (1 - covered)
    dyes[0] += azure
    dyes[2] += azure * between(rng, 0.0, 0.35)
    return DrawnCell(dyes, body, nucleus, radius_um)


def _rim(sheet: Sheet, layer: Layer, width_um: float) -> Field:
    """(side, side) in [0, 1]: the inner edge of a layer."""
    width = 2 * max(1, round(width_um * sheet.px_per_um)) + 1
    inner = cv2.erode(layer, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)))
    return fraction(np.minimum(layer, 255 - inner))
