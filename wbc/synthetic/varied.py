"""Cells as far apart as those of one class may be, to train beside real ones.

See `wbc.datasets.synthetic_extra`.

Real cells have more shapes and tints than the schematic ones of `wbc.synthetic.schematic`; a network that met
those alone would take every other for another class.  Half are drawn smooth, as here, and half
in detail, as in `wbc.synthetic.detailed`.  Ranges were chosen by eye.
"""

from __future__ import annotations

import numpy as np

from wbc.synthetic.detailed import DETAILED
from wbc.synthetic.nuclei import band, folded, kidney, lobes, notched
from wbc.synthetic.parts import DrawnCell, assembled, dyed, fraction, granular, outline
from wbc.synthetic.schematic import DRAWINGS, Drawing
from wbc.synthetic.shapes import Sheet, between, blob, scattered


def any_lymphocyte(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """As `wbc.synthetic.schematic.lymphocyte`, with oval and notched nuclei, and more of everything else."""
    large = rng.random() < 0.45
    radius = between(rng, 5.4, 7.6) if large else between(rng, 4.0, 5.6)
    body = outline(sheet, rng, radius, wobble=0.07 if large else 0.05)
    share = between(rng, 0.60, 0.80) if large else between(rng, 0.74, 0.94)
    shift = scattered(rng, 1, (1 - share) * radius * 0.95)
    nucleus = sheet.blank()
    form = blob(rng, share * radius, between(rng, 0.03, 0.08), between(rng, 1.0, 1.25))
    sheet.fill(nucleus, shift + form)
    if rng.random() < 0.3:
        nucleus = notched(sheet, rng, nucleus, share * radius)
    tint = (between(rng, 0.0, 0.20), between(rng, 0.0, 0.22), between(rng, 0.10, 0.65))
    cytoplasm = dyed(body, tint)
    if large and rng.random() < 0.4:
        few = granular(sheet, rng, radius, count=int(rng.integers(6, 16)), radius_um=(0.18, 0.30))
        cytoplasm[0] += few * fraction(body) * 0.5
    clump = (between(rng, 1.0, 1.6), between(rng, 0.08, 0.20))
    return assembled(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.65, 1.30), clump=clump)


def any_monocyte(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """As `wbc.synthetic.schematic.monocyte`, with oval, lobulated and notched nuclei, and smaller cells."""
    radius = between(rng, 5.6, 9.0)
    body = outline(sheet, rng, radius, wobble=0.08)
    nucleus = kidney(sheet, rng, radius) if rng.random() < 0.4 else folded(sheet, rng, radius)
    if rng.random() < 0.4:
        nucleus = notched(sheet, rng, nucleus, 0.75 * radius)
    tint = (between(rng, 0.02, 0.22), between(rng, 0.0, 0.30), between(rng, 0.10, 0.50))
    cytoplasm = dyed(body, tint)
    cytoplasm[0] += np.maximum(sheet.grain(rng, 0.35), 0) * fraction(body) * between(rng, 0.02, 0.14)
    if rng.random() < 0.4:
        holes = granular(sheet, rng, radius, count=int(rng.integers(3, 14)), radius_um=(0.35, 0.95))
        cytoplasm *= 1 - 0.75 * np.minimum(holes * 2, 1)
    clump = (between(rng, 0.6, 1.3), between(rng, 0.12, 0.30))
    return assembled(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.50, 1.15), clump=clump)


def any_neutrophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """As `wbc.synthetic.schematic.neutrophil`, with a cytoplasm from clear to as pink as a red cell."""
    radius = between(rng, 5.4, 7.7)
    body = outline(sheet, rng, radius, wobble=0.05)
    is_band = rng.random() < 0.25
    nucleus = (
        band(sheet, rng, radius) if is_band else lobes(sheet, rng, radius, rng.choice([2, 2, 3, 3, 4, 5]))
    )
    fine = np.maximum(sheet.grain(rng, 0.28), 0) * between(rng, 0.03, 0.25)
    tint = (between(rng, 0.0, 0.25), between(rng, 0.05, 0.60), between(rng, 0.0, 0.28))
    cytoplasm = dyed(body, tint)
    cytoplasm[0] += fine * fraction(body)
    cytoplasm[1] += fine * fraction(body)
    if rng.random() < 0.3:  # toxic granulation
        toxic = granular(sheet, rng, radius, count=90, radius_um=(0.15, 0.28))
        cytoplasm[0] += toxic * fraction(body) * between(rng, 0.2, 0.6)
    clump = (between(rng, 0.7, 1.2), between(rng, 0.10, 0.22))
    return assembled(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.65, 1.25), clump=clump)


def any_eosinophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """As `schematic.eosinophil`, with granules that run together or lie over the nucleus too."""
    radius = between(rng, 5.8, 8.0)
    body = outline(sheet, rng, radius, wobble=0.04)
    is_band = rng.random() < 0.12
    nucleus = (
        band(sheet, rng, radius) if is_band else lobes(sheet, rng, radius, 3 if rng.random() < 0.2 else 2)
    )
    tint = (between(rng, 0.0, 0.22), between(rng, 0.20, 0.80), between(rng, 0.0, 0.20))
    cytoplasm = dyed(body, tint)
    sizes = (between(rng, 0.26, 0.40), between(rng, 0.42, 0.62))
    granules = granular(sheet, rng, radius, count=int(rng.integers(140, 320)), radius_um=sizes)
    granules *= fraction(body)
    cytoplasm[1] += granules * between(rng, 0.34, 0.95)
    cytoplasm[0] += granules * between(rng, 0.0, 0.25)
    cell = assembled(sheet, rng, body, nucleus, cytoplasm, radius, density=(0.50, 1.10), clump=(0.9, 0.15))
    if rng.random() < 0.5:
        cell.dyes[1] += granules * fraction(cell.nucleus) * between(rng, 0.1, 0.5)
    return cell


def _smooth_or_detailed(label: str, smooth: Drawing) -> Drawing:
    def draw(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
        return (DETAILED[label] if rng.random() < 0.5 else smooth)(sheet, rng)

    return draw


SMOOTH = DRAWINGS | {
    "Eosinophil": any_eosinophil,
    "Lymphocyte": any_lymphocyte,
    "Monocyte": any_monocyte,
    "Neutrophil": any_neutrophil,
}
VARIANTS = {label: _smooth_or_detailed(label, drawing) for label, drawing in SMOOTH.items()}
