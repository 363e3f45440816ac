"""The one way from images to answers, for every verb: network, test-time views, second opinion and rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wbc.answers.averaged_views import AveragedViews
from wbc.answers.rule import AnswerRule, Answers, joined, no_answers, uncalibrated
from wbc.answers.second_opinion import SecondOpinion
from wbc.datasets.image_list import Listed
from wbc.errors import DataError
from wbc.images.decode import ImageError
from wbc.images.prepare import Prepare
from wbc.loading.file_batches import (
    Batches,
    FileBatch,
    FileBatches,
    InMemory,
    Picture,
    batch_loader,
    files_in_batches,
    loader_processes,
)
from wbc.network.network import Network
from wbc.utils.progress import Progress


class Outputs(NamedTuple):
    """Of N images, float32 on the CPU.

    features (N, D): means over the test-time views.  logits (N, C): of these features, with the second
    opinion where there is one; what a rule is fitted on.  network_logits (N, C): of the network alone, by the
    image as it is; the same where answers are of no more than that.
    """

    features: Tensor
    logits: Tensor
    network_logits: Tensor


class Answered(NamedTuple):
    """One batch of the stream: the files as they were read, and what is said of those that could be."""

    files: FileBatch
    outputs: Outputs
    answers: Answers


class Predictor:
    """Images in, answers out.

    views: over which features are averaged.  second_opinion: joined with what the network says.  rule: makes
    calibrated probabilities, prediction sets and a status of the outputs; without one, as in a training
    checkpoint, probabilities are a plain softmax.
    """

    def __init__(
        self,
        network: Network,
        rule: AnswerRule | None = None,
        views: AveragedViews | None = None,
        second_opinion: SecondOpinion | None = None,
    ) -> None:
        self.network = network.eval()
        self.rule = rule
        self.views = views or AveragedViews()
        self.second_opinion = second_opinion

    @property
    def classes(self) -> list[str]:
        """The classes in the order of the probabilities."""
        return self.network.classes

    @property
    def prepare(self) -> Prepare:
        """What makes of a decoded picture the pixels that the network takes."""
        return self.network.prepare

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.network.device

    @property
    def answered_by(self) -> str:
        """What answers are made of, in words, where that is more than the network and the image; else ""."""
        more = []
        if self.views.draws:
            more.append(f"features averaged over {self.views.count} test-time views of each image")
        if self.second_opinion is not None:
            more.append("a second opinion by measurements of the cell")
        return " and ".join(more)

    def to(self, device: torch.device) -> Predictor:
        """The same predictor, its network moved to `device`."""
        self.network.to(device)
        return self

    def predict(self, images: Sequence[str | Path | np.ndarray], batch_size: int = 32) -> Answers:
        """Classify files or arrays (H, W, 3) uint8 RGB.

        Raises TypeError for a single file name, ImageError for a file that cannot be read, ValueError for an
        array of another kind.
        """
        if isinstance(images, str | Path):
            raise TypeError(f"predict takes a list: [{str(images)!r}]")
        parts = [no_answers(len(self.classes))]
        for batch in self.stream(InMemory([_picture(image) for image in images], batch_size)):
            for path, reason in batch.files.unreadable:
                raise ImageError(path, reason)
            parts.append(batch.answers)
        return joined(parts)

    def answer_files(
        self, paths: Sequence[str], batch_size: int, workers: int | None, title: str
    ) -> tuple[Outputs, Answers]:
        """Outputs and answers of N files, with a progress bar named `title`.

        Raises DataError for a file that cannot be read, which were to be taken out beforehand.
        """
        outputs, answers = [], []
        with Progress(f"answering {title}", "image", len(paths)) as bar:
            for batch in self.stream(files_in_batches(paths, batch_size), workers=workers):
                for path, reason in batch.files.unreadable:
                    raise DataError(f"{path}: {reason}; it could be read a moment ago")
                outputs.append(batch.outputs)
                answers.append(batch.answers)
                bar.update(len(batch.files.images))
        return Outputs(*(torch.cat(values) for values in zip(*outputs, strict=True))), joined(answers)

    def stream(
        self, batches: Batches, numbers: Iterable[int] | None = None, workers: int | None = None
    ) -> Iterator[Answered]:
        """Batch by batch, those of `numbers` or all: files are decoded ahead, in threads or `workers`."""
        loader = batch_loader(
            FileBatches(batches, self.prepare),
            range(len(batches)) if numbers is None else numbers,
            loader_processes(workers, self.device),
        )
        for files in loader:
            outputs = self.outputs(files.pixels)
            yield Answered(files, outputs, self.answers(outputs, files.found))

    def outputs(self, pixels: Tensor) -> Outputs:
        """Of (N, 3, S, S) of 0..255 as the network's `prepare` makes them, on any device; N may be 0."""
        if not len(pixels):
            nothing = torch.empty(0, len(self.classes))
            return Outputs(torch.empty(0, self.network.backbone.features), nothing, nothing)
        with torch.inference_mode():
            views = self.views.of(pixels.to(self.device))
            features = torch.stack([self.network.features(view) for view in views])
            # Features and not logits or probabilities are averaged: what is fitted on features, outlier
            # scores and a head for another lab, then knows those that it will meet.
            mean = features.mean(dim=0)
            logits, alone = (self.network.classify(one).float().cpu() for one in (mean, features[0]))
        if self.second_opinion is not None:
            logits = logits + self.second_opinion.logits(pixels)
        return Outputs(mean.float().cpu(), logits, alone)

    def answers(self, outputs: Outputs, found: Sequence[bool | None]) -> Answers:
        """The answers that `outputs` give, by the rule where there is one.

        found: what `prepare` says of each picture.
        """
        if self.rule is None:
            answers = uncalibrated(outputs.logits, self.classes)
        else:
            answers = self.rule.answer(outputs.features, outputs.logits, self.classes)
        return answers._replace(cell_found=list(found))


def _picture(image: str | Path | np.ndarray) -> Picture:
    if not isinstance(image, np.ndarray):
        return Listed(str(image), "")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"an array of {image.dtype} {image.shape} is no image: expected uint8 (height, width, 3) RGB"
        )
    return image
