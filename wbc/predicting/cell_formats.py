"""Cells of photographs as other programs read them: COCO for whoever trains detectors, GeoJSON for QuPath."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wbc.images.boxes import Box
from wbc.utils.files import write_json


class FieldCell(NamedTuple):
    """A cell in a photograph: class, its probability, and status.

    not_counted: why it is not; the rest is then of its picture that is.
    """

    box: Box
    label: str
    probability: float
    status: str
    not_counted: str = ""


class Coco:
    """Collects photographs and their cells; a cell takes some hundred bytes of memory."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._numbers = {name: number for number, name in enumerate(classes, 1)}
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, photograph: str, width: int, height: int, cells: Sequence[FieldCell]) -> None:
        """One photograph, by its path."""
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": photograph, "width": width, "height": height})
        for cell in cells:
            x, y = cell.box.x0, cell.box.y0
            across, down = cell.box.x1 - x, cell.box.y1 - y
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": number,
                    "category_id": self._numbers[cell.label],
                    "bbox": [x, y, across, down],
                    "area": across * down,
                    "iscrowd": 0,
                    "score": cell.probability,
                    "attributes": {"status": cell.not_counted or cell.status},
                }
            )

    def write(self, path: Path) -> None:
        """As a COCO file: images, annotations, categories."""
        categories = [{"id": number, "name": name} for name, number in self._numbers.items()]
        write_json(path, {"images": self._images, "annotations": self._annotations, "categories": categories})


def write_geojson(path: Path, cells: Sequence[FieldCell]) -> None:
    """One photograph's cells as annotations that QuPath imports (File > Import objects from file).

    QuPath counts by classification: what is not counted has a classification of its own.
    """
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [_corners(cell.box)]},
            "properties": {
                "objectType": "annotation",
                "classification": {"name": cell.not_counted or cell.label},
                "measurements": {"probability": cell.probability},
                "name": cell.label if cell.not_counted else cell.status,
            },
        }
        for cell in cells
    ]
    write_json(path, {"type": "FeatureCollection", "features": features})


def _corners(box: Box) -> list[list[int]]:
    """Around it, back to the first."""
    return [[box.x0, box.y0], [box.x1, box.y0], [box.x1, box.y1], [box.x0, box.y1], [box.x0, box.y0]]
