"""One model on one labelled set: what it said of every image, and what is measured of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from wbc.answers import NOT_CALIBRATED, Answers, joined, no_answers
from wbc.errors import DataError
from wbc.file_batches import FileBatches, PathBatches, batch_loader, loader_processes
from wbc.labelled_sets import LabelledSet
from wbc.prediction_table import SET_SEPARATOR
from wbc.predictor import Predictor


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


def model_outputs(
    predictor: Predictor, paths: Sequence[str], batch_size: int, workers: int | None, title: str
) -> tuple[Tensor, Answers]:
    """Probabilities (N, C) float64 before calibration, and answers, of N files.

    Raises DataError for a file that cannot be read, which were to be taken out beforehand.
    """
    batches = PathBatches(paths, batch_size)
    plain, answers = [], [no_answers(len(predictor.classes))]
    processes = loader_processes(workers, predictor.network.mean.device)
    loader = batch_loader(FileBatches(batches, predictor.network.prepare), range(len(batches)), processes)
    with tqdm(total=len(paths), unit="image", desc=title, disable=None) as bar:
        for batch in loader:
            for image, reason in zip(batch.images, batch.reasons, strict=True):
                if reason:
                    raise DataError(f"{image.path}: {reason}; it could be read a moment ago")
            features, logits = predictor.outputs(batch.pixels)
            plain.append(logits.double().softmax(dim=1))
            answers.append(predictor.answers(features, logits, batch.found))
            bar.update(len(batch.images))
    return torch.cat(plain), joined(answers)


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
