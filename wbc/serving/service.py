"""From pictures that were sent to the answer: a request is a job of its own, as one of `wbc predict` is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from wbc.answers.differential import Differential
from wbc.answers.predictor import Outputs, Predictor
from wbc.errors import ImageError
from wbc.images.boxes import Box
from wbc.images.decode import decode, header_size
from wbc.images.field_crops import CellToCrop, cells_to_crop
from wbc.loading.file_batches import FileBatch, InMemory
from wbc.plain.answers import Answers
from wbc.plain.lab_check import of_one_lab, said_of_lab
from wbc.plain.picture_check import SEVERAL_CELLS
from wbc.serving.passes import Passes
from wbc.serving.records import cell_records, field_cell_record
from wbc.utils.machine import available_cores

UNREADABLE, TOO_MANY_PIXELS = "unreadable", "too_many_pixels"  # codes of errors
ONE_ALONE = (
    "One cell alone does not tell whether it is of the lab that the model knows, and the promise holds there "
    "alone: send the cells of one lab, or of one slide, in one request."
)
NO_RULE = "The model has no rule of answers: probabilities are not calibrated and nothing is held back."
FIELDS = "Most pictures do not show one cell: of photographs of whole fields, fields=true finds the cells."

Value = TypeVar("Value")


class Upload(NamedTuple):
    """A picture as it was sent: its name, and what the file holds."""

    name: str
    content: bytes


class _Cell(NamedTuple):
    """Prepared and computed."""

    files: FileBatch
    outputs: Outputs


@dataclass
class _Seen:
    """What became of an upload.  crops: of a photograph, one for each cell."""

    name: str
    size: tuple[int, int] | None = None  # height and width
    cells: Sequence[_Cell] = ()
    crops: Sequence[CellToCrop] | None = None
    error: dict[str, str] | None = None


class Service:
    """Answers by one predictor, for any number of requests at once.

    batch_size: pictures of a pass.  most_pixels: of a picture.
    """

    def __init__(self, predictor: Predictor, model_hash: str, batch_size: int, most_pixels: int) -> None:
        self.predictor = predictor
        self.model_hash = model_hash
        self.passes = Passes(predictor, batch_size)
        self._most_pixels = most_pixels
        cores = available_cores()
        self._pool = ThreadPoolExecutor(cores, "decoding")
        self._photographs = asyncio.Semaphore(cores)  # a decoded one takes hundreds of megabytes

    async def answer(self, uploads: Sequence[Upload], fields: bool = False) -> dict[str, Any]:
        """An `AnswerRecord` as plain values.

        fields: uploads are photographs of fields, in which white cells are found first.
        """
        look = self._photograph if fields else self._picture
        seen = await asyncio.gather(*(look(upload) for upload in uploads))
        return await self._in_pool(lambda: self._record(seen))

    def close(self) -> None:
        """Once all that waits is computed."""
        self.passes.close()
        self._pool.shutdown()

    async def _picture(self, upload: Upload) -> _Seen:
        def prepared() -> FileBatch:
            self._refuse_by_pixels(upload)
            return self._prepared(upload.content)

        try:
            files = await self._in_pool(prepared)
        except ImageError as error:
            return _Seen(upload.name, error=_error(error))
        return _Seen(upload.name, files.sizes[0], [await self._computed(files)])

    async def _photograph(self, upload: Upload) -> _Seen:
        def found() -> tuple[np.ndarray, list[CellToCrop]]:
            self._refuse_by_pixels(upload)
            rgb = decode(upload.content)
            pictures = self.predictor.pictures
            return rgb, cells_to_crop(rgb, 0.0 if pictures is None else pictures.usual_share)

        async with self._photographs:
            try:
                rgb, crops = await self._in_pool(found)
            except ImageError as error:
                return _Seen(upload.name, error=_error(error))
            height, width = rgb.shape[:2]
            prepared = await asyncio.gather(
                *(self._in_pool(partial(self._prepared, _within(rgb, one.crop))) for one in crops)
            )
            del rgb
        cells = await asyncio.gather(*map(self._computed, prepared))
        return _Seen(upload.name, (height, width), cells, crops)

    def _refuse_by_pixels(self, upload: Upload) -> None:
        try:
            width, height = header_size(upload.content) or (0, 0)
        except ImageError as error:
            raise TooManyPixelsError(upload.name, error.reason) from error
        if width * height > self._most_pixels:
            raise TooManyPixelsError(
                upload.name,
                f"{width} x {height} pixels, and {self._most_pixels / 1e6:g} million are accepted; send "
                "parts of it, or start wbc serve with more megapixels=",
            )

    def _prepared(self, picture: bytes | np.ndarray) -> FileBatch:
        files = self.predictor.files(InMemory([picture], 1))[0]
        if files.reasons[0]:
            raise ImageError("a picture that was sent", files.reasons[0])
        return files

    async def _computed(self, files: FileBatch) -> _Cell:
        outputs = await asyncio.wrap_future(self.passes.outputs(files.pixels))
        return _Cell(files, self.predictor.with_size(outputs, files.marks))

    async def _in_pool(self, work: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _record(self, seen: Sequence[_Seen]) -> dict[str, Any]:
        answers, lab = self._answers([cell for one in seen for cell in one.cells])
        records = iter(cell_records(answers, self.predictor.classes))
        differential = Differential(self.predictor.classes)
        for label, status in zip(answers.labels, answers.status, strict=True):
            differential.add(label, status)
        differential.unreadable = sum(one.error is not None for one in seen)
        return {
            "model": self.model_hash,
            "pictures": [_picture_record(one, [next(records) for _ in one.cells]) for one in seen],
            "lab": lab,
            "differential": differential.record(),
            "notes": self._notes(answers, lab, any(one.crops is not None for one in seen)),
        }

    def _answers(self, cells: Sequence[_Cell]) -> tuple[Answers, dict[str, Any] | None]:
        """Of all cells of a request together, for they are of one lab."""
        nothing = self.predictor.outputs(torch.empty(0))
        outputs = Outputs(*(torch.cat(one) for one in zip(nothing, *(c.outputs for c in cells), strict=True)))
        found = [found for cell in cells for found in cell.files.found]
        marks = [marks for cell in cells for marks in cell.files.marks]
        answers = self.predictor.answers(outputs, found, marks)
        return of_one_lab(answers, outputs.features.numpy(), self.predictor.lab, self.predictor.classes)

    def _notes(self, answers: Answers, lab: dict[str, Any] | None, in_photographs: bool) -> list[str]:
        rule, count = self.predictor.rule, len(answers.labels)
        shortfall = "" if rule is None else rule.shortfall(f"{rule.images:,} images that it was fitted on")
        several = sum(status == SEVERAL_CELLS for status in answers.status)
        notes = [
            NO_RULE if rule is None else shortfall,
            ONE_ALONE if lab is not None and count == 1 else said_of_lab(lab),
            FIELDS if not in_photographs and several > count / 2 else "",
        ]
        return [note for note in notes if note]


def _within(rgb: np.ndarray, box: Box) -> np.ndarray:
    return rgb[box.y0 : box.y1, box.x0 : box.x1]


class TooManyPixelsError(ImageError):
    """A picture that is larger than the service takes."""


def _error(error: ImageError) -> dict[str, str]:
    code = TOO_MANY_PIXELS if isinstance(error, TooManyPixelsError) else UNREADABLE
    return {"code": code, "said": error.reason}


def _picture_record(seen: _Seen, records: list[dict[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {"name": seen.name}
    if seen.error is not None or seen.size is None:
        return record | {"error": seen.error}
    record |= {"width": seen.size[1], "height": seen.size[0]}
    if seen.crops is None:
        return record | {"answer": records[0]}
    cells = [
        field_cell_record(one, crop.cell.box, crop.cell.at_border)
        for one, crop in zip(records, seen.crops, strict=True)
    ]
    return record | {"cells": cells}
