"""The measured sets of a run, validation and tests: each image goes once through the model of a phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wbc.answers.predictor import Outputs, Predictor
from wbc.images.picture_marks import PictureMarks
from wbc.loading.datamodule import ImageData
from wbc.metrics.classification import classification_metrics
from wbc.network.device import chosen_device
from wbc.settings.train import Config
from wbc.utils.files import replacing


class SetOutputs(NamedTuple):
    """Outputs of the N images of a set, what each picture is like, and whether a cell was found in it, None
    where none was looked for.
    """

    outputs: Outputs
    found: list[bool | None]
    marks: list[PictureMarks]


def measured_outputs(predictor: Predictor, data: ImageData, config: Config) -> dict[str, SetOutputs]:
    """Set -> outputs, in float32 on the device that training used, as evaluate.py computes them."""
    accelerator = config.trainer.get("accelerator", "auto")
    predictor.to(chosen_device("cpu" if accelerator == "cpu" else "auto")).by(config.runtime)
    predictor.runtime.expect(sum(len(data.rows[name]) for name in data.evaluated) * predictor.views.count)
    seen = {}
    for name in data.evaluated:
        paths = data.rows[name]["path"].tolist()
        outputs, answers, marks = predictor.answer_files(paths, data.batch_size, config.data.workers, name)
        seen[name] = SetOutputs(outputs, answers.cell_found, marks)
    return seen


def logits_metrics(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """`classification_metrics` of logits (N, C)."""
    return classification_metrics(logits.double().softmax(dim=1), labels, classes)


def write_logits(path: Path, logits: Mapping[str, Tensor]) -> None:
    """Keep the logits of a phase until the run's report is made."""
    with replacing(path) as beside:
        np.savez_compressed(beside, **{name: one.numpy() for name, one in logits.items()})  # type: ignore[arg-type]


def read_logits(path: Path) -> dict[str, Tensor]:
    """What `write_logits` kept."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
