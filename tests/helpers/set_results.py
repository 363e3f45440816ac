"""The results of made-up models on sets of two classes."""

import numpy as np
import pandas as pd
import torch

from wbc.plain.answers import Answers
from wbc.report.labelled_sets import LabelledSet
from wbc.report.set_result import SetResult

CLASSES = ["Basophil", "Monocyte"]


def result(
    name: str, labels: list[str], given: list[str], confidences: list[float], status: list[str], root=""
):
    """The set `name` of images <root>/<name>/<label>/<n>.png.  given: the predicted classes."""
    paths = [f"{root}/{name}/{label}/{number:04d}.png" for number, label in enumerate(labels)]
    rows = pd.DataFrame({"path": paths, "label": labels, "group": ""})
    index = [CLASSES.index(label) for label in given]
    probabilities = np.full((len(labels), 2), 0.0, np.float32)
    probabilities[np.arange(len(labels)), index] = confidences
    probabilities[np.arange(len(labels)), [1 - one for one in index]] = 1 - np.array(confidences)
    nothing = np.zeros(len(labels))
    answers = Answers(given, probabilities, [[one] for one in given], status, nothing, [None] * len(labels))
    return SetResult(LabelledSet(name, rows), CLASSES, {"m": torch.from_numpy(probabilities)}, answers)
