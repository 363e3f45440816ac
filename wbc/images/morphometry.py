"""Measurements of a white cell as a haematologist would describe it: nucleus, cytoplasm, granules.

Relative to the cell's size, and of colours as they are in the picture: meant for pictures in the standard way
(`wbc.images.standardised`), where dyes and glass are alike.  Worker processes import this module, so it
stays free of torch and pandas.
"""

from __future__ import annotations

import cv2
import numpy as np

from wbc.images.cell_finder import find_cell
from wbc.images.standard_colour import WHITE

SHAPES = (
    "nucleus_share",  # area of the nucleus over that of the cell
    "nucleus_solidity",  # area over that of the convex hull: lobes and notches lower it
    "nucleus_eccentricity",  # of the ellipse of equal second moments: 0 for a disc, towards 1 for a rod
    "nucleus_lobes",  # pieces with more than _LOBE of the area
    "nucleus_outline",  # squared length over area: 4 pi for a disc, more the more lobes
    "nucleus_thickness",  # radius of the largest disc inside over the root of the area
    "cell_solidity",
    "cell_eccentricity",
    "nucleus_offset",  # distance of the two centres over the root of the cell's area
)
_CHANNELS = ("red", "green", "blue")
STAINS = (
    *(f"cytoplasm_{name}" for name in ("lightness", "a", "b")),  # CIELAB, medians
    *(f"cytoplasm_density_{name}" for name in _CHANNELS),  # optical density, medians
    *(f"{part}_spread_{name}" for part in ("nucleus", "cytoplasm") for name in _CHANNELS),  # its deviation
    # Its deviation in what is as fine as granules and clumps of chromatin.
    *(f"{part}_grain_{name}" for part in ("nucleus", "cytoplasm") for name in _CHANNELS),
)
# Density of what lies right around the nucleus over that of the nucleus: stains differ, these hardly do, and
# the outline of a cell that touches red cells does not matter.
RINGS = tuple(
    f"ring_{what}_{name}"
    for what in ("density", "darkest", "spread")  # median, 90th centile, between the quartiles
    for name in _CHANNELS
)
NAMES = SHAPES + STAINS + RINGS

_LOBE = 0.08
_RIM = 0.02  # of the cell's diameter around the nucleus that is neither: the outline is not finer
_GRAIN = 0.013, 0.045  # sigmas of the band of granules, of the cell's diameter
_RING = 0.45  # width around the nucleus, of the radius of the disc of its area
_LEAST_PX = 30  # of nucleus and of cytoplasm; below, colours are those of the outline
_LEAST_DENSITY = 0.05  # of a nucleus; below, a share of it is noise


def measure(rgb: np.ndarray) -> np.ndarray | None:
    """NAMES of the cell in (H, W, 3) uint8 RGB as (36,) float32; None where too little or none is found."""
    cell = find_cell(rgb)
    if cell is None:
        return None
    nucleus = _enlarged(cell.nucleus, rgb.shape)
    whole = _enlarged(cell.cell, rgb.shape) | nucleus
    rim = 2 * round(_RIM * cell.diameter) + 1
    inside = nucleus > 0
    cytoplasm = (whole > 0) & (cv2.dilate(nucleus, np.ones((rim, rim), np.uint8)) == 0)
    if min(np.count_nonzero(inside), np.count_nonzero(cytoplasm)) < _LEAST_PX:
        return None
    density = -np.log(np.clip(rgb, 1, WHITE).astype(np.float32) / np.float32(WHITE))
    fine, coarse = (cv2.GaussianBlur(density, (0, 0), sigma * cell.diameter) for sigma in _GRAIN)
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.array(
        [
            *_shapes(nucleus, whole),
            *np.median(lab[cytoplasm], axis=0),
            *np.median(density[cytoplasm], axis=0),
            *(deviation for part in (inside, cytoplasm) for deviation in density[part].std(axis=0)),
            *(deviation for part in (inside, cytoplasm) for deviation in (fine - coarse)[part].std(axis=0)),
            *_ring(density, nucleus, cytoplasm),
        ],
        np.float32,
    )


def _ring(density: np.ndarray, nucleus: np.ndarray, cytoplasm: np.ndarray) -> list[float]:
    """RINGS of optical densities (H, W, 3), a nucleus (H, W) uint8 and the cytoplasm (H, W) bool."""
    reach = _RING * np.sqrt(np.count_nonzero(nucleus) / np.pi)
    ring = cytoplasm & (cv2.distanceTransform(1 - nucleus, cv2.DIST_L2, cv2.DIST_MASK_5) <= reach)
    if np.count_nonzero(ring) < _LEAST_PX:  # a nucleus that fills its cell
        ring = cytoplasm
    lower, middle, upper, darkest = np.percentile(density[ring], (25, 50, 75, 90), axis=0)
    chromatin = np.maximum(np.median(density[nucleus > 0], axis=0), _LEAST_DENSITY)
    return [*(middle / chromatin), *(darkest / chromatin), *((upper - lower) / chromatin)]


def _enlarged(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A mask of the finder's small copy as (H, W) uint8 of 0 and 1, with a smooth outline."""
    grey = cv2.resize(mask.astype(np.uint8) * 255, shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return (grey > 127).astype(np.uint8)


def _shapes(nucleus: np.ndarray, whole: np.ndarray) -> list[float]:
    """SHAPES of two masks (H, W) uint8."""
    outlines, area, centre, solidity, eccentricity = _form(nucleus)
    _, cell_area, cell_centre, cell_solidity, cell_eccentricity = _form(whole)
    length = sum(cv2.arcLength(points, closed=True) for points in outlines)
    thickness = float(cv2.distanceTransform(nucleus, cv2.DIST_L2, cv2.DIST_MASK_5).max())
    return [
        area / cell_area,
        solidity,
        eccentricity,
        sum(cv2.contourArea(points) > _LOBE * area for points in outlines),
        length**2 / area,
        thickness / area**0.5,
        cell_solidity,
        cell_eccentricity,
        float(np.hypot(*np.subtract(centre, cell_centre))) / cell_area**0.5,
    ]


def _form(mask: np.ndarray) -> tuple[list[np.ndarray], float, tuple[float, float], float, float]:
    """Outlines of the pieces, area, centre (x, y), solidity and eccentricity of all pieces together."""
    outlines = list(cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0])
    hull = cv2.convexHull(np.concatenate(outlines))
    moments = cv2.moments(mask, binaryImage=True)
    area = moments["m00"]
    centre = moments["m10"] / area, moments["m01"] / area
    middle = (moments["mu20"] + moments["mu02"]) / 2
    off = np.hypot((moments["mu20"] - moments["mu02"]) / 2, moments["mu11"])
    eccentricity = float(np.sqrt(np.clip(2 * off / (middle + off), 0, 1))) if middle > 0 else 0.0
    return outlines, area, centre, area / max(cv2.contourArea(hull), 1.0), eccentricity
