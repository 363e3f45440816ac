"""What the page shows of one cell on demand: the heat map of its class, and the known cells alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from wbc.answers.checkpoint import load_model
from wbc.answers.predictor import Answered
from wbc.errors import CheckpointError, ImageError
from wbc.heat.cams import ClassActivationMap
from wbc.heat.known_pictures import KnownPictures
from wbc.heat.known_strip import SIDE
from wbc.heat.like_these import first_words, like_title
from wbc.heat.overlay import heat_tile, paste
from wbc.heat.views import SteadyMap
from wbc.loading.file_batches import files_in_batches
from wbc.network.device import chosen_device
from wbc.plain.known_cells import KnownCell
from wbc.plain.words import CellWords
from wbc.reviewing.cells import Cells
from wbc.reviewing.explanations import READY, Explanation

METHOD = "gradcam"
_HEAT_PX = 448  # side of the picture with heat
_LETTERS_PX = 22
_QUALITY = 88  # of JPEG


class Explainer:
    """The model of `checkpoint`, which runs no code of the file, and what it says of `cells`.

    known_cells: the folder of the known cells' pictures; None: where the run of the model has them.
    Raises CheckpointError where it cannot be read, or is of other classes than the predictions.
    """

    def __init__(self, checkpoint: Path, cells: Cells, known_cells: str | None = None) -> None:
        self._cells = cells
        self._predictor = load_model(checkpoint).to(chosen_device("auto"))
        if list(cells.classes) != self._predictor.classes:
            raise CheckpointError(
                f"{checkpoint} knows {', '.join(self._predictor.classes)}, and the predictions are of "
                f"{', '.join(cells.classes)}: it is another model"
            )
        self._map = SteadyMap(ClassActivationMap(self._predictor.network, METHOD))
        self._pictures = None
        if self._predictor.known is not None:
            self._pictures = KnownPictures(
                self._predictor.known, checkpoint, known_cells, self._predictor.prepare, SIDE
            )

    def explain(self, cell: int) -> Explanation:
        """The heat of the class that the program named, and the known cells of this class and the next.

        Raises ImageError for a picture that cannot be read.
        """
        path = self._cells.path(cell)
        (batch,) = self._predictor.stream(files_in_batches([path], 1), workers=0)
        for _, reason in batch.files.unreadable:
            raise ImageError(path, reason)
        images = batch.files.pixels[:1]
        target = int(self._cells.prediction[cell])
        heat = self._map(images.to(self._predictor.device), torch.tensor([target]))[0].numpy()
        pixels = images[0].permute(1, 2, 0).numpy()
        told: dict[str, Any] = {
            "state": READY,
            "target": self._cells.classes[target],
            "note": self._note(batch.files.found[0]),
        }
        known, pictures = self._known(batch)
        return Explanation(told | {"known": known}, _jpeg(_with_heat(pixels, heat)), pictures)

    def _known(self, batch: Answered) -> tuple[list[dict[str, Any]], list[bytes]]:
        """What is told of each known cell alike, and its picture; [] of a model that keeps none."""
        told: list[dict[str, Any]] = []
        pictures: list[bytes] = []
        for like in self._predictor.like_these(batch.outputs, batch.answers):
            words = batch.answers.words[0] if batch.answers.words else None
            title = like_title(batch.answers.status[0], batch.answers.labels[0])
            next_class = () if like.other is None else (like.other,)
            for heading, cells in ((title, like.alike), ("nearest of the next class", next_class)):
                for one in cells:
                    picture = self._picture(one.name)
                    why = picture if isinstance(picture, str) else ""
                    pictures.append(b"" if isinstance(picture, str) else _jpeg(picture))
                    told.append(_told(one, words) | {"title": heading, "why": why})
        return told, pictures

    def _note(self, found: bool | None) -> str:
        notes = []
        if self._predictor.answered_by:
            notes.append(f"The answer is of {self._predictor.answered_by}; the heat is of the network alone.")
        if found is False:
            notes.append("No cell was found in the picture: the network saw it as it is.")
        return " ".join(notes)

    def _picture(self, name: str) -> np.ndarray | str:
        return "no picture" if self._pictures is None else self._pictures.picture(name)


def _told(cell: KnownCell, words: CellWords | None) -> dict[str, Any]:
    return {
        "name": cell.name,
        "label": cell.label,
        "distance": round(cell.distance, 2),
        "words": [f"{attribute}: {value}" for attribute, value in first_words(cell, words)],
    }


def _with_heat(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The picture as the network sees it, in grey below its heat; or why there is none."""
    canvas = Image.new("RGB", (_HEAT_PX + 2, _HEAT_PX + 2))
    paste(canvas, heat_tile(pixels, heat, _HEAT_PX, METHOD), 1, 1, _LETTERS_PX)
    return np.asarray(canvas)


def _jpeg(rgb: np.ndarray) -> bytes:
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
