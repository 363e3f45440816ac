"""Photographs of fields once their cells are answered: a table of the cells, and pictures."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from wbc.images.boxes import Box
from wbc.images.decode import decode
from wbc.images.slide_tiles import OVERVIEW_PX
from wbc.images.slides import Slide, is_slide, open_slide
from wbc.plain.answers import ANSWERED, UNCERTAIN, superclass_of
from wbc.plain.prediction_rows import PREDICTION, columns, status_column
from wbc.predicting.cell_formats import Coco, FieldCell, write_geojson
from wbc.predicting.found_cells import read_table
from wbc.predicting.parts import read_part
from wbc.settings.layout import CELLS
from wbc.utils.files import replacing
from wbc.utils.progress import progress

COCO, PICTURES = "cells.coco.json", "fields"

_BOX = ("x0", "y0", "x1", "y1")
_COLOURS = {ANSWERED: (0, 140, 60), UNCERTAIN: (230, 130, 0)}  # RGB; all else
_OTHER, _NOT_COUNTED = (200, 30, 30), (110, 110, 110)
_DOT_PX = 5  # radius at least, in the overview of a slide
_PAPER = (255, 255, 255)


def write_cells(
    parts: Sequence[Path], found: Path, folder: Path, classes: Sequence[str], attributes: Sequence[str] = ()
) -> Counter[str]:
    """Write the cells to `folder`: CELLS, a row a cell, and COCO; in PICTURES a copy of each photograph with
    any, their boxes drawn, and a file for QuPath.

    parts: the answers to the crops.  found: the table that `wbc.predicting.finding` wrote.  attributes: those
    that a model with words tells.  Returns how many cells are not answered, for each reason.
    """
    left_out = Counter[str]()
    coco = Coco(classes)
    shown = columns(classes, attributes)[PREDICTION:]
    status = status_column(classes) - PREDICTION
    elsewhere = _answers_of(parts, {row.same_as for _, rows in read_table(found) for row in rows})
    with (
        replacing(folder / CELLS) as beside,
        beside.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(["photograph", *_BOX, "at_border", "same_as", *shown])
        answers = _answers(parts)
        for number, (photograph, rows) in enumerate(read_table(found)):
            cells = []
            for row in rows:
                if row.status:
                    left_out[row.status] += 1
                    answer = [""] * len(shown)
                    answer[status] = row.status
                    known = elsewhere.get(row.same_as)
                    if known:
                        cells.append(_field_cell(row.box, known, classes)._replace(not_counted=row.status))
                else:
                    _, whole = next(one for one in answers if one[0] == row.crop)
                    if not whole:  # the photograph is gone meanwhile, and errors.csv says so
                        continue
                    cells.append(_field_cell(row.box, whole, classes))
                    answer = whole[PREDICTION:]
                edge = "yes" if row.at_border else "no"
                table.writerow([photograph, *row.box, edge, row.same_as, *answer])
            if cells:
                name = folder / PICTURES / f"{number:06d}_{Path(photograph).stem}"
                if is_slide(photograph):
                    slide = open_slide(photograph)
                    shape = slide.height, slide.width
                    _draw_overview(slide, cells, name.with_name(f"{name.name}.jpg"))
                else:
                    picture = decode(photograph)
                    shape = picture.shape[:2]
                    _draw(picture, cells, name.with_name(f"{name.name}.jpg"))
                coco.add(photograph, shape[1], shape[0], cells)
                write_geojson(name.with_name(f"{name.name}.geojson"), cells)
    coco.write(folder / COCO)
    return left_out


def _field_cell(box: Box, answer: list[str], classes: Sequence[str]) -> FieldCell:
    best = max(float(value) for value in answer[PREDICTION + 1 : PREDICTION + 1 + len(classes)])
    return FieldCell(box, answer[PREDICTION], best, answer[status_column(classes)])


def _answers(parts: Sequence[Path]) -> Iterator[tuple[str, list[str]]]:
    """Each crop, and its row; [] where it could not be read."""
    for part in progress(parts, "drawing", "part"):
        for row in read_part(part):
            yield row.path, row.prediction


def _answers_of(parts: Sequence[Path], crops: set[str]) -> dict[str, list[str]]:
    """The rows of some crops, by their names."""
    if crops <= {""}:
        return {}
    return {row.path: row.prediction for part in parts for row in read_part(part) if row.path in crops}


def _draw(photograph: np.ndarray, cells: Sequence[FieldCell], path: Path) -> None:
    picture = photograph.copy()
    line = max(1, max(picture.shape[:2]) // 500)
    size = max(picture.shape[:2]) / 1600 + 0.25
    for box, label, probability, status, not_counted in cells:
        colour = _colour(status)
        text = f"{label} {probability:.2f}"
        if not_counted:
            colour, text = _NOT_COUNTED, f"{label}, {not_counted}"
        cv2.rectangle(picture, (box.x0, box.y0), (box.x1 - 1, box.y1 - 1), colour, line)
        (across, up), down = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, line)
        left = max(0, min(box.x0, picture.shape[1] - across))
        room_above = box.y0 - up - down >= 0
        base = box.y0 - down if room_above else min(box.y1 + up + 1, picture.shape[0] - down)
        cv2.rectangle(picture, (left, base - up), (left + across, base + down - 1), _PAPER, cv2.FILLED)
        cv2.putText(picture, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, size, colour, line, cv2.LINE_AA)
    _save(picture, path)


def _draw_overview(slide: Slide, cells: Sequence[FieldCell], path: Path) -> None:
    """The whole slide with a dot for each cell; none where the file has no small copy of it."""
    overview = slide.overview(OVERVIEW_PX)
    if overview is None:
        return
    picture = overview.copy()
    shrink = picture.shape[1] / slide.width
    for cell in cells:
        middle = (
            round((cell.box.x0 + cell.box.x1) / 2 * shrink),
            round((cell.box.y0 + cell.box.y1) / 2 * shrink),
        )
        reach = max(_DOT_PX, round((cell.box.x1 - cell.box.x0) / 2 * shrink))
        cv2.circle(picture, middle, reach, _colour(cell.status), 2, cv2.LINE_AA)
    _save(picture, path)


def _colour(status: str) -> tuple[int, int, int]:
    return _COLOURS.get(UNCERTAIN if superclass_of(status) else status, _OTHER)


def _save(picture: np.ndarray, path: Path) -> None:
    with replacing(path) as beside:
        encoded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]))[1]
        beside.write_bytes(encoded.tobytes())
