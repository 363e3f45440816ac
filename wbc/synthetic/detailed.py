"""Cells with what a sharp objective shows: speckled chromatin, packed granules, ragged edges, feet and hairs.

The third kind of drawing, beside `schematic` and the smooth ones of `varied`.  What says nothing about the
class, as how coarse the chromatin is or how dark a rim, is drawn from the same ranges for all.  Ranges were
chosen by eye beside cells of PBC, which the smooth drawings look little like.
"""

from __future__ import annotations

import numpy as np

from wbc.synthetic.nuclei import band, folded, kidney, lobes, notched, pinched, uneven_lobes
from wbc.synthetic.parts import DrawnCell, dyed, fraction, granular
from wbc.synthetic.shapes import Layer, Sheet, arc, between, blob, scattered
from wbc.synthetic.textures import packed, ragged, with_chromatin


def detailed_basophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """Dark granules of any size, loose or packed, over cytoplasm and nucleus."""
    radius = between(rng, 5.2, 7.2)
    body = ragged(sheet, rng, radius)
    nucleus = sheet.blank()
    for shift in scattered(rng, int(rng.integers(2, 4)), 0.36 * radius):
        sheet.fill(nucleus, shift + blob(rng, between(rng, 0.4, 0.58) * radius, 0.12, between(rng, 1.0, 1.5)))
    tint = (between(rng, 0.05, 0.45), between(rng, 0.05, 0.40), between(rng, 0.0, 0.35))
    cell = with_chromatin(sheet, rng, body, nucleus, dyed(body, tint), radius)
    granules = packed(sheet, rng, radius, size_um=(0.22, 0.60), coverage=(0.3, 1.2)) * fraction(body)
    strength = between(rng, 0.65, 1.4)
    cell.dyes[0] += granules * np.maximum(strength - between(rng, 0.2, 0.6) * cell.dyes[0], 0)
    cell.dyes[2] += granules * between(rng, 0.05, 0.35)
    return cell


def detailed_eosinophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """Red granules of any size, packed, at times with a bay that has none."""
    radius = between(rng, 5.8, 8.0)
    body = ragged(sheet, rng, radius)
    nucleus = segmented(sheet, rng, radius, 3 if rng.random() < 0.25 else 2, banded=0.12)
    tint = (between(rng, 0.0, 0.25), between(rng, 0.10, 0.60), between(rng, 0.0, 0.20))
    cytoplasm = dyed(body, tint)
    granules = packed(sheet, rng, radius, size_um=(0.18, 0.60), coverage=(0.8, 2.2)) * fraction(body)
    cytoplasm[1] += granules * between(rng, 0.5, 1.4)
    cytoplasm[0] += granules * between(rng, 0.0, 0.30)
    if rng.random() < 0.3:
        bay = sheet.blank()
        place = arc(radius * between(rng, 0.5, 1.0), rng.uniform(0, 2 * np.pi, 1))
        sheet.fill(bay, place + blob(rng, radius * between(rng, 0.3, 0.6), 0.15))
        pale = dyed(body, (between(rng, 0.0, 0.15), between(rng, 0.0, 0.3), between(rng, 0.05, 0.25)))
        cytoplasm += fraction(bay) * (pale - cytoplasm)
    cell = with_chromatin(sheet, rng, body, nucleus, cytoplasm, radius)
    if rng.random() < 0.5:
        cell.dyes[1] += granules * fraction(cell.nucleus) * between(rng, 0.1, 0.5)
    return cell


def detailed_lymphocyte(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """A round nucleus that at times fills the whole cell; cytoplasm from clear to deep blue."""
    large = rng.random() < 0.4
    radius = between(rng, 5.4, 7.6) if large else between(rng, 4.0, 5.8)
    body = ragged(sheet, rng, radius)
    share = between(rng, 0.60, 0.82) if large else between(rng, 0.74, 0.99)
    shift = scattered(rng, 1, (1 - share) * radius * 0.95)
    nucleus = sheet.blank()
    sheet.fill(nucleus, shift + blob(rng, share * radius, between(rng, 0.02, 0.08), between(rng, 1.0, 1.25)))
    if rng.random() < 0.15:
        nucleus = notched(sheet, rng, nucleus, share * radius)
    tint = (between(rng, 0.0, 0.30), between(rng, 0.0, 0.22), between(rng, 0.10, 1.0))
    cytoplasm = dyed(body, tint)
    if large and rng.random() < 0.4:  # a few azurophilic granules
        few = granular(sheet, rng, radius, count=int(rng.integers(6, 16)), radius_um=(0.18, 0.30))
        cytoplasm[0] += few * fraction(body) * 0.5
    return with_chromatin(sheet, rng, body, nucleus, cytoplasm, radius)


def detailed_monocyte(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """A kidney or a folded nucleus, often with feet and vacuoles."""
    radius = between(rng, 5.6, 8.2)
    body = ragged(sheet, rng, radius, wobble=0.09, feet=0.35)
    nucleus = kidney(sheet, rng, radius) if rng.random() < 0.35 else folded(sheet, rng, radius)
    if rng.random() < 0.4:
        nucleus = notched(sheet, rng, nucleus, 0.75 * radius)
    tint = (between(rng, 0.02, 0.30), between(rng, 0.0, 0.30), between(rng, 0.10, 0.60))
    cytoplasm = dyed(body, tint)
    cytoplasm[0] += np.maximum(sheet.grain(rng, 0.35), 0) * fraction(body) * between(rng, 0.02, 0.20)
    if rng.random() < 0.45:
        size = between(rng, 0.2, 0.5)
        holes = granular(sheet, rng, radius, int(rng.integers(3, 30)), (size, size + between(rng, 0.1, 0.6)))
        cytoplasm *= 1 - between(rng, 0.5, 1.0) * np.minimum(holes * 2, 1)
    return with_chromatin(sheet, rng, body, nucleus, cytoplasm, radius)


def detailed_neutrophil(sheet: Sheet, rng: np.random.Generator) -> DrawnCell:
    """Lobes of all sizes or a pinched band, in a cytoplasm with violet dust or none."""
    radius = between(rng, 5.4, 7.7)
    body = ragged(sheet, rng, radius)
    nucleus = segmented(sheet, rng, radius, int(rng.choice([2, 2, 3, 3, 4, 5])), banded=0.25)
    fine = np.maximum(sheet.grain(rng, 0.28), 0) * between(rng, 0.03, 0.25)
    tint = (between(rng, 0.0, 0.25), between(rng, 0.03, 0.45), between(rng, 0.0, 0.28))
    cytoplasm = dyed(body, tint)
    cytoplasm[:2] += fine * fraction(body)
    if rng.random() < 0.5:  # from the usual dust to toxic granulation
        dust = granular(sheet, rng, radius, int(rng.integers(50, 220)), (0.08, between(rng, 0.12, 0.28)))
        dust *= fraction(body)
        cytoplasm[0] += dust * between(rng, 0.1, 0.6)
        cytoplasm[1] += dust * between(rng, 0.0, 0.4)
    return with_chromatin(sheet, rng, body, nucleus, cytoplasm, radius)


def segmented(sheet: Sheet, rng: np.random.Generator, radius_um: float, count: int, banded: float) -> Layer:
    """A nucleus of `count` lobes, or in a share `banded` of cells a band."""
    form = rng.random()
    if form < banded:
        return band(sheet, rng, radius_um)
    if form < banded + 0.3:
        return lobes(sheet, rng, radius_um, count)
    if form < banded + 0.5:
        return pinched(sheet, rng, radius_um, count)
    return uneven_lobes(sheet, rng, radius_um, count)


DETAILED = {
    "Basophil": detailed_basophil,
    "Eosinophil": detailed_eosinophil,
    "Lymphocyte": detailed_lymphocyte,
    "Monocyte": detailed_monocyte,
    "Neutrophil": detailed_neutrophil,
}
