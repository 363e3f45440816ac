"""One pass over image files: files in, probabilities and answers out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wbc.answers.predictor import Predictor
from wbc.answers.rule import Answers, joined, no_answers
from wbc.errors import DataError
from wbc.loading.file_batches import FileBatches, PathBatches, batch_loader, loader_processes
from wbc.utils.progress import Progress


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
    with Progress(f"answering {title}", "image", len(paths)) as bar:
        for batch in loader:
            for image, reason in zip(batch.images, batch.reasons, strict=True):
                if reason:
                    raise DataError(f"{image.path}: {reason}; it could be read a moment ago")
            features, logits = predictor.outputs(batch.pixels)
            plain.append(logits.double().softmax(dim=1))
            answers.append(predictor.answers(features, logits, batch.found))
            bar.update(len(batch.images))
    return torch.cat(plain), joined(answers)
