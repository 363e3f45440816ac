"""Photographs of fields: their white cells as a list of crops, then a table of them and pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from wbc.datasets.image_list import ImageList, Listed
from wbc.errors import ImageError
from wbc.images.boxes import Box, crop_name
from wbc.images.decode import decode
from wbc.images.field_crops import CellToCrop, cells_to_crop
from wbc.plain.answers import ANSWERED, UNCERTAIN, superclass_of
from wbc.plain.prediction_rows import PREDICTION, columns, status_column
from wbc.predicting.cell_formats import Coco, FieldCell, write_geojson
from wbc.predicting.parts import read_part
from wbc.settings.layout import CELLS
from wbc.utils.files import replacing
from wbc.utils.machine import available_cores
from wbc.utils.progress import Progress, progress

FOUND = "found.csv"  # in the folder of parts: each cell, its box and the crop that the network is shown
COCO, PICTURES = "cells.coco.json", "fields"

_BOX = ("x0", "y0", "x1", "y1")
_COLOURS = {ANSWERED: (0, 140, 60), UNCERTAIN: (230, 130, 0)}  # RGB; all else
_OTHER = (200, 30, 30)
_PAPER = (255, 255, 255)


class _Found(NamedTuple):
    photograph: Listed
    unreadable: bool
    cells: list[CellToCrop]


def list_cells(photographs: Path, listed: Path, usual_share: float) -> tuple[int, int]:
    """Find the cells of the photographs that the list `photographs` has, and list their crops in `listed`.

    A photograph that cannot be read is listed itself: answering says why.  usual_share: of a crop's side that
    the nucleus takes in the pictures that the model knows; 0 where it does not tell.
    Returns how many photographs were looked at, and how many cells are in them.
    """
    images = ImageList(photographs, 4 * available_cores())
    cells = 0
    with (
        Progress("finding cells", "photograph", images.images) as bar,
        replacing(listed) as list_beside,
        list_beside.open("w", encoding="ascii", newline="\n") as lines,
        replacing(listed.with_name(FOUND)) as table_beside,
        table_beside.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file)
        for number in range(len(images)):
            for found in _looked_at(images.batch(number), usual_share):
                if found.unreadable:
                    lines.write(json.dumps(found.photograph) + "\n")
                for cell, crop in found.cells:
                    name = crop_name(found.photograph.path, crop)
                    lines.write(json.dumps(Listed(name, found.photograph.group)) + "\n")
                    table.writerow([found.photograph.path, name, *cell.box, int(cell.at_border)])
                cells += len(found.cells)
                bar.update(1)
    return images.images, cells


def write_cells(
    parts: Sequence[Path], found: Path, folder: Path, classes: Sequence[str], attributes: Sequence[str] = ()
) -> None:
    """Write the cells to `folder`: CELLS, a row a cell, and COCO; in PICTURES a copy of each photograph with
    any, their boxes drawn, and a file for QuPath.

    parts: the answers to the crops.  found: what `list_cells` wrote.  attributes: those that a model with
    words tells.
    """
    coco = Coco(classes)
    with (
        replacing(folder / CELLS) as beside,
        beside.open("w", encoding="utf-8", newline="") as file,
        found.open(encoding="utf-8", newline="") as boxes,
    ):
        table = csv.writer(file)
        table.writerow(["photograph", *_BOX, "at_border", *columns(classes, attributes)[PREDICTION:]])
        answers = _answers(parts)
        for number, (photograph, of_one) in enumerate(groupby(csv.reader(boxes), lambda row: row[0])):
            cells = []
            for _, name, *box, at_border in of_one:
                _, answer = next(one for one in answers if one[0] == name)
                if answer:  # else the photograph is gone meanwhile, and errors.csv says so
                    cells.append(_field_cell(Box(*map(int, box)), answer, classes))
                    edge = "yes" if at_border == "1" else "no"
                    table.writerow([photograph, *box, edge, *answer[PREDICTION:]])
            if cells:
                picture = decode(photograph)
                name = f"{number:06d}_{Path(photograph).stem}"
                coco.add(photograph, picture.shape[1], picture.shape[0], cells)
                write_geojson(folder / PICTURES / f"{name}.geojson", cells)
                _draw(picture, cells, folder / PICTURES / f"{name}.jpg")
    coco.write(folder / COCO)


def _field_cell(box: Box, answer: list[str], classes: Sequence[str]) -> FieldCell:
    best = max(float(value) for value in answer[PREDICTION + 1 : PREDICTION + 1 + len(classes)])
    return FieldCell(box, answer[PREDICTION], best, answer[status_column(classes)])


def _answers(parts: Sequence[Path]) -> Iterator[tuple[str, list[str]]]:
    """Each crop, and its row; [] where it could not be read."""
    for part in progress(parts, "drawing", "part"):
        for row in read_part(part):
            yield row.path, row.prediction


def _looked_at(photographs: Sequence[Listed], usual_share: float) -> Iterator[_Found]:
    def found(photograph: Listed) -> _Found:
        try:
            photograph.path.encode()  # a name that is no UTF-8 could stand in no table
            rgb = decode(photograph.path)
        except (ImageError, UnicodeEncodeError):
            return _Found(photograph, True, [])
        return _Found(photograph, False, cells_to_crop(rgb, usual_share))

    with ThreadPoolExecutor(available_cores()) as pool:
        yield from pool.map(found, photographs)


def _draw(photograph: np.ndarray, cells: Sequence[FieldCell], path: Path) -> None:
    picture = photograph.copy()
    line = max(1, max(picture.shape[:2]) // 500)
    size = max(picture.shape[:2]) / 1600 + 0.25
    for box, label, probability, status in cells:
        colour = _COLOURS.get(UNCERTAIN if superclass_of(status) else status, _OTHER)
        cv2.rectangle(picture, (box.x0, box.y0), (box.x1 - 1, box.y1 - 1), colour, line)
        text = f"{label} {probability:.2f}"
        (across, up), down = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, line)
        left = max(0, min(box.x0, picture.shape[1] - across))
        room_above = box.y0 - up - down >= 0
        base = box.y0 - down if room_above else min(box.y1 + up + 1, picture.shape[0] - down)
        cv2.rectangle(picture, (left, base - up), (left + across, base + down - 1), _PAPER, cv2.FILLED)
        cv2.putText(picture, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, size, colour, line, cv2.LINE_AA)
    with replacing(path) as beside:
        encoded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]))[1]
        beside.write_bytes(encoded.tobytes())
