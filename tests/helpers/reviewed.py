"""Folders of predictions, written as `wbc predict` writes them, and a review of one in this process."""

import csv
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from tests.helpers.drawn_fields import field
from tests.helpers.trees import picture, write_image
from wbc.answers.prediction_table import table_writer
from wbc.images.boxes import Box, crop_name
from wbc.labels import CLASSES
from wbc.plain.answers import ANSWERED, UNCERTAIN, UNKNOWN, Answers
from wbc.plain.prediction_rows import PREDICTION, columns, prediction_rows
from wbc.reviewing.answering_model import AnsweringModel
from wbc.reviewing.app import review_app
from wbc.reviewing.cells import read_cells
from wbc.reviewing.decisions import Decisions
from wbc.reviewing.explanations import Explanations
from wbc.reviewing.pictures import Pictures
from wbc.reviewing.settling import Settling
from wbc.reviewing.state import Review

ADDRESS = "http://127.0.0.1:8765"


def answers(count: int, seed: int = 0, classes=CLASSES) -> Answers:
    """Of so many cells, with every status."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(len(classes), 0.3), count).astype(np.float32)
    best = probabilities.max(axis=1)
    return Answers(
        [classes[place] for place in probabilities.argmax(axis=1)],
        probabilities,
        [[name for name, value in zip(classes, row, strict=True) if value > 0.1] for row in probabilities],
        [UNKNOWN if value < 0.45 else UNCERTAIN if value < 0.8 else ANSWERED for value in best],
        rng.random(count),
        [None] * count,
    )


def write_crops(
    folder: Path, count: int = 12, table: str = "predictions.csv", names: str = "{}.png", slides: str = "baa"
) -> Answers:
    """`count` cells, each a file of its own, of slides with these names in turn."""
    made = answers(count)
    of_slides = [slides[number % len(slides)] for number in range(count)]
    paths = [str(folder / "cells" / slide / names.format(number)) for number, slide in enumerate(of_slides)]
    for number, path in enumerate(paths):
        write_image(path, picture(number, 32))
    with table_writer(folder / table, CLASSES) as rows:
        for row in prediction_rows(made, paths, of_slides):
            rows.writerow(row)
    return made


def write_photographs(folder: Path) -> None:
    """Three cells in two photographs: predictions.csv of the crops, and cells.csv of the cells."""
    made = answers(3)
    photographs = [str(folder / name) for name in ("one.png", "one.png", "two.png")]
    boxes = [Box(70, 70, 130, 130), Box(270, 170, 330, 230), Box(0, 150, 40, 210)]
    crops = [Box(50, 50, 150, 150), Box(250, 150, 350, 250), Box(0, 130, 100, 230)]
    write_image(photographs[0], field([(100, 100), (300, 200)]))
    write_image(photographs[2], field([(10, 180)]))
    names = [crop_name(path, crop) for path, crop in zip(photographs, crops, strict=True)]
    answered = list(prediction_rows(made, names))
    with table_writer(folder / "predictions.csv", CLASSES) as rows:
        for row in answered:
            rows.writerow(row)
    with (folder / "cells.csv").open("w", encoding="utf-8", newline="") as file:
        cells = csv.writer(file)
        cells.writerow(["photograph", "x0", "y0", "x1", "y1", "at_border", *columns(CLASSES)[PREDICTION:]])
        for photograph, box, row in zip(photographs, boxes, answered, strict=True):
            cells.writerow([photograph, *box, "no", *row[PREDICTION:]])


def opened(
    folder: Path,
    token: str | None = None,
    table: str = "predictions.csv",
    caution: str = "",
    model: Path | None = None,
) -> TestClient:
    """A browser before a review of `folder`, whose decisions lie in folder/review.

    model: that made the predictions.
    """
    cells = read_cells(folder, table)
    (folder / "review").mkdir(exist_ok=True)
    decisions = Decisions(folder / "review" / "decisions.sqlite", cells, "hash")
    about = {
        "title": folder.name,
        "predictions": str(folder),
        "model": None,
        "version": "0",
        "caution": caution,
    }
    answering = AnsweringModel(model, folder)
    review = Review(
        *(cells, decisions, Pictures(cells), Explanations(cells, answering)),
        *(Settling(cells, decisions, answering, folder / "review", table), folder / "review"),
        *(about, "", "hash"),
    )
    client = TestClient(review_app(review, token), ADDRESS, headers={"origin": ADDRESS})
    client.review = review
    return client


def decide(client: TestClient, reviewer: str, cells: list[int], verdict: str) -> int:
    """How many cells that changed."""
    told = client.post("/api/decide", json={"reviewer": reviewer, "cells": cells, "verdict": verdict})
    assert told.status_code == 200, told.text
    return told.json()["changed"]
