"""What is answered, as JSON: the columns of `wbc predict`, with names and kinds that OpenAPI tells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from wbc.images.boxes import Box
from wbc.plain.answers import Answers
from wbc.plain.words import CellWords


class WordRecord(BaseModel):
    """An attribute of a cell."""

    value: str | None = Field(description="its most probable value; null where that is not sure enough")
    probability: float = Field(description="of that value, calibrated")


class WordsRecord(BaseModel):
    """A cell in words."""

    attributes: dict[str, WordRecord]
    speak_for: list[str] = Field(description="attributes that speak for the class, the strongest first")
    speak_against: list[str]
    told_class: str = Field(description="the class by the words alone")
    told_probability: float


class CellRecord(BaseModel):
    """The answer for one cell: what `wbc predict` writes of it."""

    prediction: str = Field(description="the class with the greatest probability")
    probabilities: dict[str, float] = Field(description="of each class, calibrated")
    set: list[str] = Field(description="the classes that it could be")
    status: str = Field(description="how far to believe it, such as answered, uncertain, not a known cell")
    score: float | None = Field(description="of outliers; null for a model without")
    cell_found: bool | None = Field(description="null for a model that looks for no cell")
    words: WordsRecord | None = Field(description="null for a model without words")


class FieldCellRecord(CellRecord):
    """A cell of a photograph; its box in pixels, from the upper left corner, without x1 and y1."""

    x0: int
    y0: int
    x1: int
    y1: int
    at_border: bool = Field(description="cut by the edge of the photograph")


class ErrorRecord(BaseModel):
    """What went wrong, and the mend."""

    code: str
    said: str


class PictureRecord(BaseModel):
    """One picture that was sent: its answer, the cells of a photograph, or why there is neither."""

    name: str = Field(description="as it was sent; of one without a name its number, from 1")
    width: int | None = None
    height: int | None = None
    answer: CellRecord | None = None
    cells: list[FieldCellRecord] | None = Field(None, description="of a photograph, from the top down")
    error: ErrorRecord | None = None


class LabRecord(BaseModel):
    """Whether all pictures of the request together are of another lab than the model's validation images."""

    images: int
    rank: float | None = Field(description="how odd they are on average; 0.5 in the model's own lab")
    at_least: float | None = Field(description="what the rank is at least, at 95 %")
    limit: float
    elsewhere: bool = Field(description="true: no cell counts as answered")


class ModelRecord(BaseModel):
    """Which model answers."""

    sha256: str = Field(description="of its file")
    classes: list[str]
    attributes: list[str] = Field(description="that it tells in words")
    backbone: str
    image_size_px: int
    promise: dict[str, Any] | None = Field(description="of its rule of answers; null for a model without")


class VersionRecord(BaseModel):
    """The program and its model."""

    wbc: str
    model: ModelRecord


class HealthRecord(BaseModel):
    """Whether it answers, and how much waits."""

    status: str = Field(description="ok, or stopping")
    waiting: int = Field(description="requests that are not answered yet")
    queue: int = Field(description="how many may be")


class AnswerRecord(BaseModel):
    """The answer to a request."""

    model: str = Field(description="the SHA-256 of the model's file")
    pictures: list[PictureRecord] = Field(description="in the order in which they were sent")
    lab: LabRecord | None = Field(description="null for a model without this check")
    differential: dict[str, Any] = Field(description="as `total` of differential.json has it")
    notes: list[str] = Field(description="what a reader of the answers must know")


class FailureRecord(BaseModel):
    """Why a whole request has no answer."""

    error: ErrorRecord


def cell_records(answers: Answers, classes: Sequence[str]) -> list[dict[str, Any]]:
    """A `CellRecord` for each of the answers, with the six digits that tables have."""
    return [
        {
            "prediction": answers.labels[row],
            "probabilities": {
                name: _six(value) for name, value in zip(classes, answers.probabilities[row], strict=True)
            },
            "set": answers.sets[row],
            "status": answers.status[row],
            "score": _six(answers.scores[row]),
            "cell_found": answers.cell_found[row],
            "words": _words(answers.words[row]) if answers.words else None,
        }
        for row in range(len(answers.labels))
    ]


def field_cell_record(record: dict[str, Any], box: Box, at_border: bool) -> dict[str, Any]:
    """A `FieldCellRecord` of a `CellRecord`."""
    return {"x0": box.x0, "y0": box.y0, "x1": box.x1, "y1": box.y1, "at_border": at_border} | record


def _words(cell: CellWords | None) -> dict[str, Any] | None:
    if cell is None:
        return None
    return {
        "attributes": {
            word.attribute: {
                "value": word.value if word.answered else None,
                "probability": _six(word.probability),
            }
            for word in cell.words
        },
        "speak_for": list(map(str, cell.speak_for)),
        "speak_against": list(map(str, cell.speak_against)),
        "told_class": cell.told_class,
        "told_probability": _six(cell.told_probability),
    }


def _six(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if math.isnan(value) else float(f"{value:.6g}")
