"""The five white cells as schematic drawings: outline, nucleus, cytoplasm and granules.

Sizes, nuclear shapes and granules are the textbook ones of normal cells on a stained film (see Bain, Blood
Cells); amounts of dye were chosen by eye. Their ranges overlap between classes on purpose, so that colour
alone does not name the class (benchmarks/synthetic.py measures it).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wbc.synthetic.nuclei import band, kidney, lobes
from wbc.synthetic.parts import DrawnCell, assembled, dyed, fraction, granular, outline
from wbc.synthetic.shapes import Sheet, between, blob, scattered

# Half the side of the sheet that holds any cell: the largest monocyte with its bulges.
CELL_REACH_UM = 11.5


def neutrophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """Two to five lobes on thin strands, or a band; pale pinkish cytoplasm with fine faint granules."""
    radius = between(rng, 5.6, 7.6)
    body = outline(sheet, rng, radius, wobble=0.03)
    is_band = rng.random() < 0.2
    nucleus = band(sheet, rng, radius) if is_band else lobes(sheet, rng, radius, rng.choice([2, 3, 3, 4, 5]))
    fine = np.maximum(sheet.grain(rng, 0.28), 0) * between(rng, 0.05, 0.22)
    tint = (between(rng, 0.02, 0.18), between(rng, 0.08, 0.40), between(rng, 0.0, 0.18))
    cytoplasm = dyed(body, tint)
    cytoplasm[0] += fine * fraction(body)
    cytoplasm[1] += fine * fraction(body)
    if rng.random() < 0.35:  # toxic granulation: visible, but purple and fine
        toxic = granular(sheet, rng, radius, count=90, radius_um=(0.15, 0.28))
        cytoplasm[0] += toxic * fraction(body) * between(rng, 0.2, 0.6)
    return assembled(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.65, 1.15), clump=(0.9, 0.16))


def eosinophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """Two lobes, sometimes three, in a cytoplasm packed with coarse orange-red granules."""
    radius = between(rng, 6.0, 7.9)
    body = outline(sheet, rng, radius, wobble=0.03)
    nucleus = lobes(sheet, rng, radius, 3 if rng.random() < 0.2 else 2)
    tint = (between(rng, 0.0, 0.14), between(rng, 0.12, 0.45), between(rng, 0.0, 0.20))
    cytoplasm = dyed(body, tint)
    granules = granular(sheet, rng, radius, count=int(rng.integers(140, 260)), radius_um=(0.36, 0.58))
    granules *= fraction(body)
    cytoplasm[1] += granules * between(rng, 0.34, 0.90)
    cytoplasm[0] += granules * between(rng, 0.0, 0.18)
    return assembled(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.65, 1.15), clump=(0.9, 0.15))


def basophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """Coarse dark purple granules that lie over the nucleus too and hide its outline."""
    radius = between(rng, 5.2, 7.0)
    body = outline(sheet, rng, radius, wobble=0.05)
    nucleus = sheet.blank()
    for shift in scattered(rng, int(rng.integers(2, 4)), 0.32 * radius):
        sheet.fill(nucleus, shift + blob(rng, 0.5 * radius, 0.12, between(rng, 1.0, 1.4)))
    tint = (between(rng, 0.05, 0.35), between(rng, 0.05, 0.40), between(rng, 0.0, 0.30))
    cell = assembled(
        sheet, rng, body, nucleus, dyed(body, tint), radius, density=(0.55, 1.00), clump=(1.2, 0.10)
    )
    granules = granular(sheet, rng, radius, count=int(rng.integers(45, 160)), radius_um=(0.28, 0.55))
    granules *= fraction(body)
    strength = between(rng, 0.65, 1.15)
    cell.dyes[0] += granules * np.maximum(strength - 0.55 * cell.dyes[0], 0)
    cell.dyes[2] += granules * between(rng, 0.05, 0.35)
    return cell


def lymphocyte(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """A round dense nucleus in a thin blue rim; nearly half are large, with more and paler cytoplasm."""
    large = rng.random() < 0.45
    radius = between(rng, 5.6, 7.6) if large else between(rng, 4.2, 5.6)
    body = outline(sheet, rng, radius, wobble=0.07 if large else 0.04)
    share = between(rng, 0.62, 0.76) if large else between(rng, 0.82, 0.92)
    shift = scattered(rng, 1, (1 - share) * radius * 0.9)
    nucleus = sheet.blank()
    sheet.fill(nucleus, shift + blob(rng, share * radius, 0.04, between(rng, 1.0, 1.15)))
    tint = (between(rng, 0.0, 0.15), between(rng, 0.0, 0.22), between(rng, 0.15, 0.55))
    cytoplasm = dyed(body, tint)
    if large and rng.random() < 0.4:  # a few azurophilic granules
        few = granular(sheet, rng, radius, count=int(rng.integers(6, 16)), radius_um=(0.18, 0.30))
        cytoplasm[0] += few * fraction(body) * 0.5
    return assembled(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.70, 1.20), clump=(1.3, 0.15))


def monocyte(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """The largest: a pale kidney or horseshoe nucleus, lacy; grey-blue cytoplasm, at times vacuoles."""
    radius = between(rng, 6.4, 9.0)
    body = outline(sheet, rng, radius, wobble=0.08)
    nucleus = kidney(sheet, rng, radius)
    tint = (between(rng, 0.02, 0.16), between(rng, 0.0, 0.26), between(rng, 0.15, 0.45))
    cytoplasm = dyed(body, tint)
    cytoplasm[0] += np.maximum(sheet.grain(rng, 0.35), 0) * fraction(body) * between(rng, 0.02, 0.12)
    if rng.random() < 0.45:
        count = int(rng.integers(3, 14))
        holes = granular(sheet, rng, radius, count, radius_um=(0.35, 0.95))
        cytoplasm *= 1 - 0.75 * np.minimum(holes * 2, 1)
    return assembled(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.55, 1.05), clump=(0.7, 0.18))


Drawing = Callable[[Sheet, np.random.Generator], DrawnCell]
DRAWINGS: dict[str, Drawing] = {
    "Basophil": basophil,
    "Eosinophil": eosinophil,
    "Lymphocyte": lymphocyte,
    "Monocyte": monocyte,
    "Neutrophil": neutrophil,
}
