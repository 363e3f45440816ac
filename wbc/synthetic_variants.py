"""Cells as far apart as those of one class may be, to train beside real ones: see `wbc.drawn_cells`.

Nuclei of monocytes and lymphocytes have more shapes than the schematic ones of `wbc.synthetic_cells`; a
network that met those alone would take every other for the other class.  Ranges were chosen by eye.
"""

from __future__ import annotations

import numpy as np

from wbc.synthetic_cells import DRAWINGS
from wbc.synthetic_nuclei import folded, kidney, notched
from wbc.synthetic_parts import DrawnCell, assembled, dyed, fraction, granular, outline
from wbc.synthetic_shapes import Sheet, between, blob, scattered


def any_lymphocyte(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """As `wbc.synthetic_cells.lymphocyte`, with oval and notched nuclei, and more of everything else."""
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
    """As `wbc.synthetic_cells.monocyte`, with oval, lobulated and notched nuclei, and smaller cells."""
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


VARIANTS = DRAWINGS | {"Lymphocyte": any_lymphocyte, "Monocyte": any_monocyte}
