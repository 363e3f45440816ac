"""What every drawn cell is put together from: its outline, dyes, granules and nucleus."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbc.synthetic.shapes import Field, Layer, Sheet, between, blob, scattered

Dye = tuple[float, float, float]  # amounts of azure, eosin and blue


class DrawnCell(NamedTuple):
    """A cell on its own sheet. dyes: (3, side, side) float32; body, nucleus: coverage, nucleus in body."""

    dyes: NDArray[np.float32]
    body: Layer
    nucleus: Layer
    radius_um: float


def fraction(layer: Layer) -> Field:
    """(side, side) in [0, 1]."""
    return np.divide(layer, 255, dtype=np.float32)


def dyed(layer: Layer, dye: Dye) -> NDArray[np.float32]:
    """Maps of the three dyes, (3, side, side): as much of each as `dye` says where `layer` covers."""
    return np.asarray(dye, np.float32)[:, None, None] * fraction(layer)


def outline(sheet: Sheet, rng: np.random.Generator, radius_um: float, wobble: float) -> Layer:
    """The body of a cell; wobble: see `wbc.synthetic.shapes.blob`."""
    layer = sheet.blank()
    sheet.fill(layer, blob(rng, radius_um, wobble, between(rng, 1.0, 1.12)))
    return layer


def granular(
    sheet: Sheet, rng: np.random.Generator, reach_um: float, count: int, radius_um: tuple[float, float]
) -> Field:
    """Discs of uneven strength over the whole cell; (side, side) in [0, 1]."""
    layer = sheet.blank()
    centres = scattered(rng, count, reach_um)
    sheet.discs(layer, centres, rng.uniform(*radius_um, count), rng.integers(110, 256, count))
    return fraction(layer)


def clumped(sheet: Sheet, rng: np.random.Generator, size_um: float, depth: float) -> Field:
    """Chromatin (side, side) with a mean of about 1, its clumps `size_um` across and so deep."""
    clumps = np.clip(sheet.grain(rng, size_um) + 0.5 * sheet.grain(rng, size_um / 2), -2, 2)
    return np.asarray(1 + depth * clumps, np.float32)


def assembled(
    sheet: Sheet,
    rng: np.random.Generator,
    body: Layer,
    nucleus: Layer,
    cytoplasm: NDArray[np.float32],
    radius_um: float,
    density: tuple[float, float],
    clump: tuple[float, float],
) -> DrawnCell:
    """Put a nucleus on its cytoplasm.

    density: range of azure in the nucleus; clump: size in micrometres and depth of the chromatin's clumps.
    """
    nucleus = np.minimum(nucleus, body)
    covered = fraction(nucleus)
    azure = covered * clumped(sheet, rng, *clump) * between(rng, *density)
    dyes = cytoplasm * (1 - covered)
    dyes[0] += azure
    dyes[2] += azure * between(rng, 0.0, 0.25)
    return DrawnCell(dyes, body, nucleus, radius_um)
