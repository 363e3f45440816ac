"""The results of made-up models, on sets of two classes unless others are named."""

import numpy as np
import pandas as pd
import torch

from wbc.plain.answers import Answers
from wbc.report.labelled_sets import LabelledSet
from wbc.report.set_result import SetResult

CLASSES = ["Basophil", "Monocyte"]


def result(
    name: str,
    labels: list[str],
    given: list[str],
    confidences: list[float],
    status: list[str],
    root="",
    classes=CLASSES,
    hierarchy=None,
):
    """The set `name` of images <root>/<name>/<label>/<n>.png.  given: the predicted classes."""
    paths = [f"{root}/{name}/{label}/{number:04d}.png" for number, label in enumerate(labels)]
    rows = pd.DataFrame({"path": paths, "label": labels, "group": ""})
    index = [classes.index(label) for label in given]
    others = (1 - np.array(confidences)) / (len(classes) - 1)
    probabilities = np.repeat(others[:, None], len(classes), axis=1).astype(np.float32)
    probabilities[np.arange(len(labels)), index] = confidences
    nothing = np.zeros(len(labels))
    answers = Answers(given, probabilities, [[one] for one in given], status, nothing, [None] * len(labels))
    plain = {"m": torch.from_numpy(probabilities)}
    return SetResult(LabelledSet(name, rows), classes, plain, answers, hierarchy=hierarchy)
