"""One model on one labelled set: what it said of every image, and what is measured of that."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wbc.answers.prediction_rows import SET_SEPARATOR
from wbc.answers.rule import NOT_CALIBRATED, Answers
from wbc.report.labelled_sets import LabelledSet


@dataclass(frozen=True)
class SetResult:
    """A set with what the models said of its N images, which are the rows that were measured.

    plain: model -> probabilities (N, C) before calibration.  answers: of the reported model, whose
    probabilities are calibrated.  left_out: why -> how many images of the set are not among the rows.
    """

    of: LabelledSet
    classes: list[str]
    plain: dict[str, Tensor]
    answers: Answers
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The set's name."""
        return self.of.name

    @property
    def labels(self) -> Tensor:
        """The true classes (N,) by number."""
        return torch.tensor([self.classes.index(label) for label in self.of.rows["label"]])

    @property
    def calibrated(self) -> Tensor:
        """The answers' probabilities (N, C), rows summing to 1."""
        return torch.from_numpy(self.answers.probabilities).double()

    @property
    def is_calibrated(self) -> bool:
        """Whether the model has a rule of answers."""
        return NOT_CALIBRATED not in self.answers.status

    @property
    def answered_right(self) -> np.ndarray:
        """(N,) bool: whether the answer is the true class, by the reported model's own answers."""
        return np.array(self.answers.labels) == self.of.rows["label"].to_numpy()

    def right(self, model: str) -> np.ndarray:
        """(N,) bool: whether the class to which `model` gives the highest probability is the true one."""
        return (self.plain[model].argmax(dim=1) == self.labels).numpy()


def answers_table(result: SetResult) -> pd.DataFrame:
    """The rows of predictions.csv: data set, path, label, prediction, calibrated probabilities, set, status
    and score.
    """
    answers = result.answers
    front = pd.DataFrame(
        {
            "data": result.name,
            "path": result.of.rows["path"].to_numpy(),
            "label": result.of.rows["label"].to_numpy(),
            "prediction": answers.labels,
        }
    )
    back = {
        "set": [SET_SEPARATOR.join(names) for names in answers.sets],
        "status": answers.status,
        "score": answers.scores,
    }
    probabilities = pd.DataFrame(answers.probabilities, columns=result.classes)
    return pd.concat([front, probabilities, pd.DataFrame(back)], axis=1)
