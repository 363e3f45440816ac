"""One labelled set and what models said of its images: built once, for tables, figures and pages alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wbc.answers.predictor import Predictor
from wbc.hierarchy import Hierarchy
from wbc.metrics.classification import classification_metrics
from wbc.plain.answers import NOT_CALIBRATED, Answers
from wbc.plain.lab_check import of_one_lab
from wbc.plain.prediction_rows import prediction_rows
from wbc.report.labelled_sets import LabelledSet


@dataclass(frozen=True)
class SetResult:
    """A set with what the models said of its N images, which are the rows that were measured.

    plain: model -> probabilities (N, C) float64 before calibration.  answers: of the reported model, whose
    probabilities are calibrated.  left_out: why -> how many images of the set are not among the rows.
    lab: `LabTally.record` of its images, None where the model does not tell labs apart.  hierarchy: of the
    superclasses that the model may answer; None without a rule.
    """

    of: LabelledSet
    classes: list[str]
    plain: dict[str, Tensor]
    answers: Answers
    left_out: dict[str, int] = field(default_factory=dict)
    lab: dict[str, Any] | None = None
    hierarchy: Hierarchy | None = None
    _metrics: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The set's name."""
        return self.of.name

    @property
    def labels(self) -> Tensor:
        """The true classes (N,) by number."""
        return torch.tensor([self.classes.index(label) for label in self.of.rows["label"]])

    @property
    def groups(self) -> list[str]:
        """The group (patient, slide) of each image, "" for none."""
        return self.of.rows["group"].tolist()

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

    def metrics(self, model: str) -> dict[str, Any]:
        """`classification_metrics` of a model's plain probabilities, computed once."""
        if model not in self._metrics:
            self._metrics[model] = classification_metrics(self.plain[model], self.labels, self.classes)
        return self._metrics[model]

    def prediction_rows(self) -> Iterator[list[str]]:
        """The rows of predictions.csv."""
        rows = self.of.rows
        return prediction_rows(
            self.answers, rows["path"].tolist(), self.groups, rows["label"].tolist(), self.name
        )


def answered_set(
    one: LabelledSet,
    models: Mapping[str, Predictor],
    batch_size: int,
    workers: int | None,
    left_out: Mapping[str, int],
) -> tuple[SetResult, dict[str, Answers]]:
    """The images of a set by several models, with the answers of the last; and those of each.

    Raises DataError for a file that cannot be read, which were to be taken out beforehand.
    """
    plain, by_model = {}, {}
    for name, predictor in models.items():
        title = one.name if len(models) == 1 else f"{one.name}, {name}"
        outputs, answers, _ = predictor.answer_files(one.rows["path"].tolist(), batch_size, workers, title)
        plain[name] = outputs.logits.double().softmax(dim=1)
        by_model[name], lab = of_one_lab(answers, outputs.features.numpy(), predictor.lab, predictor.classes)
    return (
        SetResult(one, predictor.classes, plain, by_model[name], dict(left_out), lab, predictor.hierarchy),
        by_model,
    )
