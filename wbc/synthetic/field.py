"""Photographs of whole fields, drawn: several white cells among red ones, and where each of them lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.images.boxes import Box
from wbc.synthetic.background import draw_background
from wbc.synthetic.draw import photograph, put
from wbc.synthetic.labs import Lab
from wbc.synthetic.parts import DrawnCell
from wbc.synthetic.schematic import CELL_REACH_UM, DRAWINGS, Drawing
from wbc.synthetic.shapes import Sheet

_PLATELETS = 2e-3  # of a square micrometre: as many as in the pictures of one cell
_TRIES = 200  # places for a cell, before the field counts as full


class DrawnField(NamedTuple):
    """picture: (H, W, 3) uint8 RGB.  Of each white cell its class, and the box of its body in pixels."""

    picture: NDArray[np.uint8]
    labels: list[str]
    boxes: list[Box]


def draw_field(
    labels: Sequence[str],
    lab: Lab,
    rng: np.random.Generator,
    size_px: tuple[int, int] = (640, 480),
    px_per_um: float = 8.0,
    drawings: Mapping[str, Drawing] = DRAWINGS,
    *,
    in_pairs: bool = False,
) -> DrawnField:
    """A field of the cells `labels` as `lab` would photograph it, width and height `size_px`.

    No cell is cut by the border, and none covers another.  in_pairs: the second touches the first, the fourth
    the third, and so on; bulges may overlap.  The same state of `rng` gives the same bytes.
    Cells that find no place are left out, and so is what should touch one of them.
    Raises KeyError for a label that is not one of the five classes.
    """
    width, height = (side / px_per_um for side in size_px)
    spare_px = int(np.ceil(CELL_REACH_UM * px_per_um)) + 1
    sheet = Sheet(max(size_px) + 2 * spare_px, px_per_um)
    cells, centres = _placed(labels, drawings, rng, px_per_um, (width, height), in_pairs)
    radii = [cell.radius_um for _, cell in cells]
    # As dense as around one cell: the sheet is wider than what is photographed.
    platelets = _PLATELETS * (sheet.side_px / px_per_um) ** 2
    dyes = draw_background(sheet, rng, centres, radii, platelets)
    left, top = ((sheet.side_px - side) // 2 for side in size_px)
    boxes = []
    for (_, cell), centre in zip(cells, centres, strict=True):
        rows, columns = put(cell, dyes, sheet, centre)
        x, y, across, down = cv2.boundingRect((cell.body > 127).astype(np.uint8))
        x, y = x + columns.start - left, y + rows.start - top
        boxes.append(Box(x, y, x + across, y + down).within(*size_px))
    seen = dyes[:, top : top + size_px[1], left : left + size_px[0]]
    return DrawnField(photograph(seen, lab, rng, px_per_um), [label for label, _ in cells], boxes)


def _placed(
    labels: Sequence[str],
    drawings: Mapping[str, Drawing],
    rng: np.random.Generator,
    px_per_um: float,
    extent_um: tuple[float, float],
    in_pairs: bool,
) -> tuple[list[tuple[str, DrawnCell]], NDArray[np.float64]]:
    """Cells, and where they lie: (N, 2) in micrometres from the middle, apart from each other."""
    cells: list[tuple[str, DrawnCell]] = []
    centres = np.empty((0, 2))
    alone = True  # the one before has no place
    for number, label in enumerate(labels):
        second = in_pairs and number % 2 == 1
        if second and alone:
            continue
        cell = drawings[label](Sheet(2 * int(CELL_REACH_UM * px_per_um), px_per_um), rng)
        reach = 1.2 * cell.radius_um  # bulges
        room = np.asarray(extent_um) / 2 - reach
        apart = np.array([reach + 1.2 * other.radius_um for _, other in cells])
        places = rng.uniform(-room, room, (_TRIES, 2)) if (room > 0).all() else np.empty((0, 2))
        if second:
            ways = places / np.linalg.norm(places, axis=1, keepdims=True)
            apart[-1] = cell.radius_um + cells[-1][1].radius_um
            places = centres[-1] + ways * apart[-1]
            places = places[(abs(places) <= room).all(axis=1)]
            apart[-1] *= 0.999  # rounding
        alone = True
        for place in places:
            if (np.linalg.norm(centres - place, axis=1) >= apart).all():
                cells.append((label, cell))
                centres = np.vstack([centres, place])
                alone = False
                break
    return cells, centres
