"""What lies around a white cell on a smear: red cells and platelets, as amounts of dye."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.synthetic.shapes import Field, Points, Sheet, blob, scattered

# No red cell reaches further from its centre: the largest radius drawn, at the greatest stretch.
_RED_CELL_REACH_UM = 4.6


def draw_background(
    sheet: Sheet,
    rng: np.random.Generator,
    cell_centres: Points,
    cell_radii_um: Sequence[float],
    platelets_mean: float = 2.0,
) -> NDArray[np.float32]:
    """Dyes (3, side, side) of azure, eosin and blue around cells that push red cells aside.

    cell_centres: (N, 2) micrometres. Number, colour and pallor vary from image to image far more than
    between classes, so that the background says nothing about the cell.
    """
    half = sheet.side_px / sheet.px_per_um / 2
    dyes = np.zeros((3, sheet.side_px, sheet.side_px), np.float32)
    centres = _loose_grid(rng, half + _RED_CELL_REACH_UM)
    cells = list(zip(cell_centres, cell_radii_um, strict=True))
    for centre, radius in cells:
        centres = _pushed_aside(centres, centre, radius + 3.0)
    thickness = _red_cells(sheet, rng, centres)
    dyes[1] = thickness * np.float32(rng.uniform(0.15, 0.60))
    dyes[2] = thickness * np.float32(rng.uniform(0.0, 0.15))
    platelets = rng.poisson(platelets_mean)
    if platelets:
        spots = rng.uniform(-half, half, (platelets, 2))
        for centre, radius in cells:
            spots = _pushed_aside(spots, centre, radius + 1.5)
        dyes[0] = _platelets(sheet, rng, spots) * np.float32(rng.uniform(0.3, 1.2))
    return dyes


def _loose_grid(rng: np.random.Generator, half_um: float) -> Points:
    """Places of red cells: a shaken grid with gaps, since even crowded cells mostly lie side by side."""
    spacing = rng.uniform(6.8, 9.5)
    line = np.arange(-half_um, half_um, spacing) + rng.uniform(0, spacing, 1)
    points = np.stack(np.meshgrid(line, line + rng.uniform(0, spacing, 1)), axis=-1).reshape(-1, 2)
    points = points[rng.random(len(points)) < rng.uniform(0.15, 1.0)]
    return points + rng.normal(0.0, 1.3, points.shape)


def _pushed_aside(points: Points, centre: Points, distance_um: float) -> Points:
    """Points nearer than `distance_um` moved out to it, those nearer than half of it left out."""
    away = points - centre
    reach = np.linalg.norm(away, axis=1, keepdims=True)
    kept = reach[:, 0] > distance_um / 2
    away, reach = away[kept], reach[kept]
    return centre + away * np.maximum(reach, distance_um) / reach


def _red_cells(sheet: Sheet, rng: np.random.Generator, centres: Points) -> Field:
    """Thickness (side, side) of biconcave discs, darker where they overlap; about 1 at a rim."""
    reach_px = int(_RED_CELL_REACH_UM * sheet.px_per_um)
    side_px = 2 * reach_px + 1
    # Two reaches of spare glass at each edge, so that a cell cut by the edge needs no clipping.
    spare_px = 2 * reach_px + 2
    wide_px = sheet.side_px + 2 * spare_px
    thickness = np.zeros((wide_px, wide_px), np.float32)
    middles = centres * sheet.px_per_um + wide_px / 2
    middles = middles[(np.abs(middles - wide_px / 2) < wide_px / 2 - reach_px - 1).all(axis=1)]
    count = len(middles)
    profiles = _profiles(rng, kinds=4)
    radii_um = np.clip(rng.normal(3.6, 0.25, count), 2.8, 4.1)
    stretches, angles = rng.uniform(1.0, 1.1, count), rng.uniform(0, np.pi, count)
    # Per cell the matrix (2, 2) from pixels of its patch to pixels of a profile.
    turn = np.array([[np.cos(angles), np.sin(angles)], [-np.sin(angles), np.cos(angles)]])
    long_short = np.stack([1 / stretches, stretches]) * _PROFILE_RADIUS_PX / (radii_um * sheet.px_per_um)
    matrices = (turn * long_short[:, None]).transpose(2, 0, 1)
    corners = np.rint(middles).astype(int) - reach_px
    shifts = _PROFILE_SIDE_PX / 2 - 0.5 - np.einsum("nij,nj->ni", matrices, middles - corners)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for number, (left, top) in enumerate(corners.tolist()):
        matrix = np.column_stack([matrices[number], shifts[number]])
        disc = cv2.warpAffine(profiles[number % len(profiles)], matrix, (side_px, side_px), flags=flags)
        thickness[top : top + side_px, left : left + side_px] += disc
    return 1.6 * np.tanh(thickness[spare_px:-spare_px, spare_px:-spare_px] / np.float32(1.6))


_PROFILE_SIDE_PX = 64
_PROFILE_RADIUS_PX = 27  # leaves room for bent outlines


def _profiles(rng: np.random.Generator, kinds: int) -> NDArray[np.float32]:
    """Red cells seen from above: thickness (kinds, _PROFILE_SIDE_PX, _PROFILE_SIDE_PX)."""
    line = (np.arange(_PROFILE_SIDE_PX, dtype=np.float32) - _PROFILE_SIDE_PX / 2 + 0.5) / _PROFILE_RADIUS_PX
    x, y = line, line[:, None]
    bent = rng.normal(0.0, 0.10, (kinds, 1, 1)).astype(np.float32)
    squared = x * x + y * y + bent * x * y * y
    # Pallor differs between images (thick and thin parts of a smear) and a little between cells.
    pallor = rng.uniform(0.15, 0.85) * rng.uniform(0.7, 1.15, (kinds, 1, 1)).astype(np.float32)
    width = np.float32(rng.uniform(0.12, 0.30))
    edge = np.clip((1 - squared) * (_PROFILE_RADIUS_PX / 2), 0, 1)  # about a pixel wide
    return edge * (1 - pallor * np.exp(-squared * squared / (width * width)))


def _platelets(sheet: Sheet, rng: np.random.Generator, centres: Points) -> Field:
    """Coverage (side, side) in [0, 1] of small pale bodies with darker grains in the middle."""
    layer = sheet.blank()
    for centre in centres:
        radius = rng.uniform(0.7, 1.5)
        sheet.fill(layer, centre + blob(rng, radius, 0.12, rng.uniform(1.0, 1.5)), 110)
        sheet.discs(layer, centre + scattered(rng, 7, 0.7 * radius), rng.uniform(0.15, 0.3, 7), 230)
    return np.divide(layer, 255, dtype=np.float32)
