"""Schematic white blood cells on a smear, drawn from random numbers: data for tests and for the demo.

A drawing is a map of three dyes on glass; a laboratory turns it into an image: light through the dyes
(Beer-Lambert), focus, camera noise and JPEG. They are drawings: a network trained on them has learnt
nothing about patients.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.images.masks import MASK_CYTOPLASM, MASK_NUCLEUS
from wbc.synthetic.background import draw_background
from wbc.synthetic.labs import LABS, Lab
from wbc.synthetic.parts import DrawnCell
from wbc.synthetic.schematic import CELL_REACH_UM, DRAWINGS, Drawing
from wbc.synthetic.shapes import Sheet

__all__ = ["LABS", "MASK_CYTOPLASM", "MASK_NUCLEUS", "Lab", "draw_cell", "photograph", "put"]

# Furthest that a cell's centre lies from the middle, as a share of the image's width.
_OFF_CENTRE = 0.07


def draw_cell(
    label: str,
    lab: Lab,
    rng: np.random.Generator,
    size_px: int = 224,
    drawings: Mapping[str, Drawing] = DRAWINGS,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One cell of class `label` as `lab` would photograph it.

    Returns the image (size_px, size_px, 3) RGB and its mask (size_px, size_px): 0 background,
    MASK_CYTOPLASM, MASK_NUCLEUS. The same state of `rng` gives the same bytes. drawings: how each class is
    drawn.
    Raises KeyError for a label that is not one of the five classes.
    """
    field_um = lab.field_um * np.exp(rng.uniform(-0.22, 0.22))
    px_per_um = size_px / field_um
    cell = drawings[label](Sheet(2 * int(CELL_REACH_UM * px_per_um), px_per_um), rng)

    # Spare glass around the image where a cell near the edge would stick out.
    spare_um = max(0.0, CELL_REACH_UM - (0.5 - _OFF_CENTRE) * field_um)
    spare_px = int(np.ceil(spare_um * px_per_um)) + 1
    sheet = Sheet(size_px + 2 * spare_px, px_per_um)
    centre = rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, (1, 2)) * field_um
    dyes = draw_background(sheet, rng, centre, [cell.radius_um])

    rows, columns = put(cell, dyes, sheet, centre[0])
    mask = sheet.blank()
    mask[rows, columns] = np.where(cell.body > 127, MASK_CYTOPLASM, 0)
    mask[rows, columns][cell.nucleus > 127] = MASK_NUCLEUS

    frame = slice(spare_px, spare_px + size_px)
    return photograph(dyes[:, frame, frame], lab, rng, px_per_um), mask[frame, frame].copy()


def put(
    cell: DrawnCell, dyes: NDArray[np.float32], sheet: Sheet, centre_um: NDArray[np.float64]
) -> tuple[slice, slice]:
    """Lay `cell` into `dyes` (3, side, side) around centre_um (2,); the rows and columns of its own sheet."""
    side = len(cell.body)
    left, top = (np.rint(centre_um * sheet.px_per_um + sheet.side_px / 2).astype(int) - side // 2).tolist()
    rows, columns = slice(top, top + side), slice(left, left + side)
    dyes[:, rows, columns] *= 1 - cell.body / np.float32(255)  # the cell displaces what lies under it
    dyes[:, rows, columns] += cell.dyes
    return rows, columns


def photograph(
    dyes: NDArray[np.float32], lab: Lab, rng: np.random.Generator, px_per_um: float
) -> NDArray[np.uint8]:
    """Light through `dyes` (3, H, W) as RGB (H, W, 3); dye and exposure differ from picture to picture."""
    height, width = dyes.shape[1:]
    taken_up = np.exp(rng.normal(0.0, (0.18, 0.25, 0.25)))
    absorbance = np.array([lab.azure, lab.eosin, lab.blue]).T * taken_up
    exposure = rng.normal(0.0, 0.05) + rng.normal(0.0, 0.02, 3)
    to_log_light = np.column_stack([-absorbance, np.log(lab.background) + exposure])
    light = np.asarray(cv2.exp(cv2.transform(cv2.merge(list(dyes)), to_log_light)), np.float32)
    # Light falls off towards one side when the condenser is a little off.
    slope = 1 + np.linspace(-1, 1, height, dtype=np.float32) * np.float32(rng.normal(0.0, 0.025))
    light *= slope[:, None, None]
    cv2.GaussianBlur(light, (0, 0), lab.blur_um * px_per_um * rng.uniform(0.8, 1.5), dst=light)
    grain = rng.standard_normal((height, width), np.float32) * np.float32(lab.noise)
    image = cv2.add(light, cv2.merge([grain] * 3), dtype=cv2.CV_8U)  # rounds and saturates
    return _through_jpeg(np.asarray(image, np.uint8), lab.jpeg_quality)


def _through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, coded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    # OpenCV takes the channels for BGR both ways, so that RGB comes back as RGB.
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
