"""The five white cells as schematic drawings: outline, nucleus, cytoplasm and granules.

Sizes, nuclear shapes and granules are the textbook ones of normal cells on a stained film (see Bain, Blood
Cells); amounts of dye were chosen by eye. Their ranges overlap between classes on purpose, so that colour
alone does not name the class (benchmarks/synthetic.py measures it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbc.synthetic_nuclei import band, kidney, lobes
from wbc.synthetic_shapes import Field, Layer, Sheet, between, blob, scattered

# Half the side of the sheet that holds any cell: the largest monocyte with its bulges.
CELL_REACH_UM = 11.5

Dye = tuple[float, float, float]  # amounts of azure, eosin and blue


class DrawnCell(NamedTuple):
    """A cell on its own sheet. dyes: (3, side, side) float32; body, nucleus: coverage, nucleus in body."""

    dyes: NDArray[np.float32]
    body: Layer
    nucleus: Layer
    radius_um: float


def neutrophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """Two to five lobes on thin strands, or a band; pale pinkish cytoplasm with fine faint granules."""
    radius = between(rng, 5.6, 7.6)
    body = _outline(sheet, rng, radius, wobble=0.03)
    is_band = rng.random() < 0.2
    nucleus = band(sheet, rng, radius) if is_band else lobes(sheet, rng, radius, rng.choice([2, 3, 3, 4, 5]))
    fine = np.maximum(sheet.grain(rng, 0.28), 0) * between(rng, 0.05, 0.22)
    tint = (between(rng, 0.02, 0.18), between(rng, 0.08, 0.40), between(rng, 0.0, 0.18))
    cytoplasm = _dyed(body, tint)
    cytoplasm[0] += fine * _share(body)
    cytoplasm[1] += fine * _share(body)
    if rng.random() < 0.35:  # toxic granulation: visible, but purple and fine
        toxic = _granules(sheet, rng, radius, count=90, radius_um=(0.15, 0.28))
        cytoplasm[0] += toxic * _share(body) * between(rng, 0.2, 0.6)
    return _cell(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.65, 1.15), clump=(0.9, 0.16))


def eosinophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """Two lobes, sometimes three, in a cytoplasm packed with coarse orange-red granules."""
    radius = between(rng, 6.0, 7.9)
    body = _outline(sheet, rng, radius, wobble=0.03)
    nucleus = lobes(sheet, rng, radius, 3 if rng.random() < 0.2 else 2)
    tint = (between(rng, 0.0, 0.14), between(rng, 0.12, 0.45), between(rng, 0.0, 0.20))
    cytoplasm = _dyed(body, tint)
    granules = _granules(sheet, rng, radius, count=int(rng.integers(140, 260)), radius_um=(0.36, 0.58))
    granules *= _share(body)
    cytoplasm[1] += granules * between(rng, 0.34, 0.90)
    cytoplasm[0] += granules * between(rng, 0.0, 0.18)
    return _cell(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.65, 1.15), clump=(0.9, 0.15))


def basophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """Coarse dark purple granules that lie over the nucleus too and hide its outline."""
    radius = between(rng, 5.2, 7.0)
    body = _outline(sheet, rng, radius, wobble=0.05)
    nucleus = sheet.blank()
    for shift in scattered(rng, int(rng.integers(2, 4)), 0.32 * radius):
        sheet.fill(nucleus, shift + blob(rng, 0.5 * radius, 0.12, between(rng, 1.0, 1.4)))
    tint = (between(rng, 0.05, 0.35), between(rng, 0.05, 0.40), between(rng, 0.0, 0.30))
    cell = _cell(
        sheet, rng, body, nucleus, _dyed(body, tint), radius, density=(0.55, 1.00), clump=(1.2, 0.10)
    )
    granules = _granules(sheet, rng, radius, count=int(rng.integers(45, 160)), radius_um=(0.28, 0.55))
    granules *= _share(body)
    strength = between(rng, 0.65, 1.15)
    cell.dyes[0] += granules * np.maximum(strength - 0.55 * cell.dyes[0], 0)
    cell.dyes[2] += granules * between(rng, 0.05, 0.35)
    return cell


def lymphocyte(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """A round dense nucleus in a thin blue rim; nearly half are large, with more and paler cytoplasm."""
    large = rng.random() < 0.45
    radius = between(rng, 5.6, 7.6) if large else between(rng, 4.2, 5.6)
    body = _outline(sheet, rng, radius, wobble=0.07 if large else 0.04)
    share = between(rng, 0.62, 0.76) if large else between(rng, 0.82, 0.92)
    shift = scattered(rng, 1, (1 - share) * radius * 0.9)
    nucleus = sheet.blank()
    sheet.fill(nucleus, shift + blob(rng, share * radius, 0.04, between(rng, 1.0, 1.15)))
    tint = (between(rng, 0.0, 0.15), between(rng, 0.0, 0.22), between(rng, 0.15, 0.55))
    cytoplasm = _dyed(body, tint)
    if large and rng.random() < 0.4:  # a few azurophilic granules
        few = _granules(sheet, rng, radius, count=int(rng.integers(6, 16)), radius_um=(0.18, 0.30))
        cytoplasm[0] += few * _share(body) * 0.5
    return _cell(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.70, 1.20), clump=(1.3, 0.15))


def monocyte(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """The largest: a pale kidney or horseshoe nucleus, lacy; grey-blue cytoplasm, at times vacuoles."""
    radius = between(rng, 6.4, 9.0)
    body = _outline(sheet, rng, radius, wobble=0.08)
    nucleus = kidney(sheet, rng, radius)
    tint = (between(rng, 0.02, 0.16), between(rng, 0.0, 0.26), between(rng, 0.15, 0.45))
    cytoplasm = _dyed(body, tint)
    cytoplasm[0] += np.maximum(sheet.grain(rng, 0.35), 0) * _share(body) * between(rng, 0.02, 0.12)
    if rng.random() < 0.45:
        count = int(rng.integers(3, 14))
        holes = _granules(sheet, rng, radius, count, radius_um=(0.35, 0.95))
        cytoplasm *= 1 - 0.75 * np.minimum(holes * 2, 1)
    return _cell(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.55, 1.05), clump=(0.7, 0.18))


DRAWINGS: dict[str, Callable[[Sheet, np.random.Generator], DrawnCell]] = {
    "Basophil": basophil,
    "Eosinophil": eosinophil,
    "Lymphocyte": lymphocyte,
    "Monocyte": monocyte,
    "Neutrophil": neutrophil,
}


def _share(layer: Layer) -> Field:
    return np.divide(layer, 255, dtype=np.float32)


def _dyed(layer: Layer, dye: Dye) -> NDArray[np.float32]:
    return np.asarray(dye, np.float32)[:, None, None] * _share(layer)


def _outline(sheet: Sheet, rng: np.random.Generator, radius_um: float, wobble: float) -> Layer:
    layer = sheet.blank()
    sheet.fill(layer, blob(rng, radius_um, wobble, between(rng, 1.0, 1.12)))
    return layer


def _granules(
    sheet: Sheet, rng: np.random.Generator, reach_um: float, count: int, radius_um: tuple[float, float]
) -> Field:
    """Discs of uneven strength over the whole cell; (side, side) in [0, 1]."""
    layer = sheet.blank()
    centres = scattered(rng, count, reach_um)
    sheet.discs(layer, centres, rng.uniform(*radius_um, count), rng.integers(110, 256, count))
    return _share(layer)


def _cell(
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
    covered = _share(nucleus)
    size_um, depth = clump
    chromatin = 1 + depth * np.clip(sheet.grain(rng, size_um) + 0.5 * sheet.grain(rng, size_um / 2), -2, 2)
    azure = covered * chromatin * between(rng, *density)
    dyes = cytoplasm * (1 - covered)
    dyes[0] += azure
    dyes[2] += azure * between(rng, 0.0, 0.25)
    return DrawnCell(dyes, body, nucleus, radius_um)
