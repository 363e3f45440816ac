"""Nuclei of other shapes than round: segmented, band, kidney, folded. Each is a layer of coverage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wbc.synthetic.shapes import Layer, Points, Sheet, arc, between, blob, scattered, turned


def lobes(sheet: Sheet, rng: np.random.Generator, radius_um: float, count: int) -> Layer:
    """`count` lobes along an arc, joined by thin strands; together about a third of the cell."""
    lobe = radius_um * (between(rng, 0.28, 0.42) / count) ** 0.5
    ring = radius_um * between(rng, 0.42, 0.56)
    step = 2 * lobe / ring * rng.uniform(0.92, 1.25, count)
    centres = arc(ring, rng.uniform(0, 2 * np.pi) + np.cumsum(step))
    centres += rng.normal(0.0, 0.05 * radius_um, (count, 2)) + scattered(rng, 1, 0.08 * radius_um)
    layer = sheet.blank()
    sheet.line(layer, centres, between(rng, 0.4, 0.9))
    for centre in centres:
        size = lobe * between(rng, 0.85, 1.15)
        sheet.fill(layer, centre + blob(rng, size, 0.09, between(rng, 1.0, 1.35)))
    return layer


def uneven_lobes(sheet: Sheet, rng: np.random.Generator, radius_um: float, count: int) -> Layer:
    """As `lobes`, but of all sizes and forms, at times in a heap or on broad strands."""
    lobe = radius_um * (between(rng, 0.28, 0.50) / count) ** 0.5
    ring = radius_um * between(rng, 0.32, 0.54)
    step = 2 * lobe / ring * rng.uniform(0.75, 1.25, count)
    centres = arc(ring, rng.uniform(0, 2 * np.pi) + np.cumsum(step))
    centres += rng.normal(0.0, 0.08 * radius_um, (count, 2)) + scattered(rng, 1, 0.1 * radius_um)
    layer = sheet.blank()
    sheet.line(layer, centres, between(rng, 0.3, 1.4))
    for centre in centres:
        size = lobe * between(rng, 0.75, 1.2)
        sheet.fill(layer, centre + blob(rng, size, between(rng, 0.08, 0.2), between(rng, 1.0, 1.8)))
    return layer


def pinched(sheet: Sheet, rng: np.random.Generator, radius_um: float, count: int) -> Layer:
    """A horseshoe or S that narrows between its `count` lobes."""
    along = np.linspace(-1.0, 1.0, 40)
    path = arc(radius_um * between(rng, 0.38, 0.54), along * between(rng, 1.2, 2.6))
    if rng.random() < 0.3:  # the second half of the horseshoe turned about its middle
        path[:20] = 2 * path[20] - path[20:][::-1]
        path -= path.mean(axis=0)
    else:
        path -= [0.12 * radius_um, 0.0]
    waves = [np.sin(np.pi * along * between(rng, 1, 3) + between(rng, 0, 6)) for _ in range(2)]
    path += 0.06 * radius_um * np.stack(waves, axis=1)
    depth = between(rng, 0.15, 0.42)
    widths = 1 - depth + depth * np.cos(np.pi * count * along + np.pi * (count - 1))
    widths *= radius_um * between(rng, 0.36, 0.56)
    return _sausage(sheet, turned(path, rng.uniform(0, 2 * np.pi)), np.maximum(widths, 0.35))


def band(sheet: Sheet, rng: np.random.Generator, radius_um: float) -> Layer:
    """A horseshoe or S of even width that has not yet split into lobes."""
    along = np.linspace(-1.0, 1.0, 24)
    path = arc(radius_um * between(rng, 0.42, 0.54), along * between(rng, 1.1, 2.0))
    path *= 1 + between(rng, -0.15, 0.15) * np.sin(2 * along)[:, None]
    widths = radius_um * between(rng, 0.36, 0.50) * (1 + between(rng, 0.0, 0.18) * np.cos(6 * along))
    return _sausage(sheet, turned(path - [0.12 * radius_um, 0.0], rng.uniform(0, 2 * np.pi)), widths)


def kidney(sheet: Sheet, rng: np.random.Generator, radius_um: float) -> Layer:
    """A broad bean to a horseshoe: the further it bends, the slimmer it gets."""
    bend = between(rng, 0.0, 1.0)
    along = np.linspace(-1.0, 1.0, 20)
    path = arc(radius_um * (0.34 + 0.12 * bend), along * (0.95 + 0.75 * bend))
    path *= 1 + between(rng, -0.12, 0.12) * np.sin(3 * along)[:, None]
    widths = radius_um * (0.86 - 0.26 * bend) * (1 + between(rng, -0.06, 0.14) * np.cos(5 * along))
    return _sausage(sheet, turned(path - [0.2 * radius_um, 0.0], rng.uniform(0, 2 * np.pi)), widths)


def folded(sheet: Sheet, rng: np.random.Generator, radius_um: float) -> Layer:
    """A monocyte's that is no kidney: broad, uneven and oval, or two to four bulges grown together."""
    layer = sheet.blank()
    size = radius_um * between(rng, 0.60, 0.84)
    if rng.random() < 0.4:
        shift = scattered(rng, 1, 0.7 * (radius_um - size))
        form = blob(rng, size, between(rng, 0.08, 0.18), between(rng, 1.0, 1.4))
        sheet.fill(layer, shift + form)
        return layer
    count = int(rng.integers(2, 5))
    bulge = size * between(rng, 0.55, 0.75)
    angles = rng.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi, count, endpoint=False)
    for centre in arc(size * between(rng, 0.28, 0.42), angles + rng.normal(0.0, 0.3, count)):
        form = blob(rng, bulge * between(rng, 0.85, 1.15), 0.08, between(rng, 1.0, 1.3))
        sheet.fill(layer, centre + form)
    return layer


def notched(sheet: Sheet, rng: np.random.Generator, nucleus: Layer, radius_um: float) -> Layer:
    """`nucleus`, of about `radius_um`, with a dent in its edge."""
    place = arc(radius_um * between(rng, 0.85, 1.10), rng.uniform(0, 2 * np.pi, 1))
    dent = sheet.blank()
    sheet.fill(dent, place + blob(rng, radius_um * between(rng, 0.12, 0.30), 0.1, between(rng, 1.0, 1.5)))
    return np.minimum(nucleus, 255 - dent)


def _sausage(sheet: Sheet, path: Points, widths_um: NDArray) -> Layer:
    """A smooth thick curve along `path` (N, 2), `widths_um` (N,) wide: discs close enough to merge."""
    layer = sheet.blank()
    sheet.discs(layer, path, widths_um / 2)
    return layer
