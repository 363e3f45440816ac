"""The one way from images to answers, for every verb: network, test-time views, second opinion and rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wbc.answers.averaged_views import AveragedViews
from wbc.answers.rule import AnswerRule
from wbc.answers.second_opinion import SecondOpinion
from wbc.datasets.image_list import Listed
from wbc.errors import ConfigError, DataError, ImageError
from wbc.hierarchy import Hierarchy
from wbc.images.picture_marks import PictureMarks
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
from wbc.plain.answers import Answers, described, joined, no_answers, uncalibrated, with_unreadable
from wbc.plain.known_cells import KnownCells, LikeThese
from wbc.plain.lab_check import LabCheck
from wbc.plain.picture_check import PictureCheck
from wbc.plain.size_opinion import SizeOpinion
from wbc.plain.words import FittedWords
from wbc.runtime.runtime import Runtime
from wbc.utils.progress import Progress


class Outputs(NamedTuple):
    """Of N images, float32 on the CPU.

    features (N, D): means over the test-time views.  logits (N, C): of these features, with what measurements
    of the cell say where there are any; what a rule is fitted on.  network_logits (N, C): of the network
    alone, by the image as it is; the same where answers are of no more than that.
    """

    features: Tensor
    logits: Tensor
    network_logits: Tensor


class Answered(NamedTuple):
    """One batch of the stream: the files as they were read, and what is said of those that could be."""

    files: FileBatch
    outputs: Outputs
    answers: Answers


class FeatureEngine(Protocol):
    """What computes the backbone: `wbc.runtime.runtime.Runtime`, or an exported network."""

    def expect(self, images: int) -> None:
        """So many are to come, in the whole job."""

    def values(self, batch: Tensor) -> Tensor:
        """Features (N, D) of (N, 3, S, S) of 0..255."""


class Predictor:
    """Images in, answers out.

    views: over which features are averaged.  second_opinion: joined with what the network says.  rule: makes
    calibrated probabilities, prediction sets and a status of the outputs; without one, as in a training
    checkpoint, probabilities are a plain softmax.  pictures: knows what is no crop of one cell.  lab: knows
    whether many pictures together are of another lab, which is for verbs to ask.  words: tells the attributes
    of cells, and which of them speak for the class.  known: the cells in the bank of the rule's kNN outlier
    score.  size: knows how large nuclei of each class are, in red cells.
    """

    def __init__(
        self,
        network: Network,
        rule: AnswerRule | None = None,
        views: AveragedViews | None = None,
        second_opinion: SecondOpinion | None = None,
        pictures: PictureCheck | None = None,
        lab: LabCheck | None = None,
        words: FittedWords | None = None,
        known: KnownCells | None = None,
        size: SizeOpinion | None = None,
    ) -> None:
        self.network = network.eval()
        self.runtime: FeatureEngine = Runtime(network)
        self.rule = rule
        self.views = views or AveragedViews()
        self.second_opinion = second_opinion
        self.pictures = pictures
        self.lab = lab
        self.words = words
        self.known = known
        self.size = size

    @property
    def classes(self) -> list[str]:
        """The classes in the order of the probabilities."""
        return self.network.classes

    @property
    def hierarchy(self) -> Hierarchy | None:
        """Of the superclasses that may be answered; None without a rule."""
        return None if self.rule is None else self.rule.hierarchy(self.classes)

    @property
    def attributes(self) -> tuple[str, ...]:
        """What is told of each cell in words, by name; () for a model without words."""
        return () if self.words is None else self.words.names

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
        if self.size is not None:
            more.append("the size of the nucleus in red cells")
        return " and ".join(more)

    def to(self, device: torch.device) -> Predictor:
        """The same predictor, its network moved to `device`."""
        self.network.to(device)
        return self

    def by(self, runtime: str) -> Predictor:
        """The same predictor, whose network is computed by `runtime`: auto, torch or openvino."""
        self.runtime = Runtime(self.network, runtime)
        return self

    def network_logits(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) of 0..255 to what the network alone says of them, (N, C), both on the CPU."""
        with torch.inference_mode():
            return self.network.classify(self.runtime.values(images.to(self.device))).cpu()

    def predict(
        self,
        images: Sequence[str | Path | bytes | Image.Image | np.ndarray],
        batch_size: int = 32,
        keep_unreadable: bool = False,
    ) -> Answers:
        """Classify images: paths of files, what such files hold, Pillow's images, arrays (H, W, 3) uint8 RGB.

        keep_unreadable: an image that cannot be read has an answer too, with no label, no set, NaN for
        probabilities and "unreadable: " with the reason as status; else it raises ImageError with its place.
        Raises TypeError for a single image instead of a list, and for what is none of these kinds;
        ConfigError for a batch size below 1.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size}: expected 1 or more")
        if isinstance(images, str | Path | bytes | Image.Image):
            raise TypeError(f"predict takes a list of images: give [{images!r:.80}]")
        parts = [no_answers(len(self.classes))]
        place = 0
        for batch in self.stream(InMemory([_picture(image) for image in images], batch_size)):
            for image, reason in zip(batch.files.images, batch.files.reasons, strict=True):
                if reason and not keep_unreadable:
                    name = image.path if isinstance(image, Listed) else "an image in memory"
                    raise ImageError(name, f"image {place} of the list: {reason}")
                place += 1
            like = self.like_these(batch.outputs, batch.answers)
            parts.append(with_unreadable(batch.answers._replace(like_these=like), batch.files.reasons))
        return joined(parts)

    def answer_files(
        self, paths: Sequence[str], batch_size: int, workers: int | None, title: str
    ) -> tuple[Outputs, Answers, list[PictureMarks]]:
        """Outputs, answers and marks of N files, with a progress bar named `title`.

        Raises DataError for a file that cannot be read, which were to be taken out beforehand.
        """
        outputs, answers, marks = [], [], []
        with Progress(f"answering {title}", "image", len(paths)) as bar:
            for batch in self.stream(files_in_batches(paths, batch_size), workers=workers):
                for path, reason in batch.files.unreadable:
                    raise DataError(f"{path}: {reason}; it could be read a moment ago")
                outputs.append(batch.outputs)
                answers.append(batch.answers)
                marks += batch.files.marks
                bar.update(len(batch.files.images))
        together = Outputs(*(torch.cat(values) for values in zip(*outputs, strict=True)))
        return together, joined(answers), marks

    def stream(
        self, batches: Batches, numbers: Iterable[int] | None = None, workers: int | None = None
    ) -> Iterator[Answered]:
        """Batch by batch, those of `numbers` or all: files are decoded ahead, in threads or `workers`."""
        # Of the whole list, for what is left of an interrupted job is answered as the rest was.
        self.runtime.expect(len(batches) * batches.batch_size * self.views.count)
        loader = batch_loader(
            self.files(batches),
            range(len(batches)) if numbers is None else numbers,
            loader_processes(workers, self.device),
        )
        for files in loader:
            outputs = self.with_size(self.outputs(files.pixels), files.marks)
            yield Answered(files, outputs, self.answers(outputs, files.found, files.marks))

    def files(self, batches: Batches) -> FileBatches:
        """The images of a list, prepared for this network."""
        return FileBatches(batches, self.prepare, red_cells=self.size is not None)

    def outputs(self, pixels: Tensor) -> Outputs:
        """Of (N, 3, S, S) of 0..255 as the network's `prepare` makes them, on any device; N may be 0.

        What is seen of a picture before it is prepared is not in them: see `with_size`.
        """
        if not len(pixels):
            nothing = torch.empty(0, len(self.classes))
            return Outputs(torch.empty(0, self.network.backbone.features), nothing, nothing)
        with torch.inference_mode():
            features = self._of_views(pixels)
            # Features and not logits or probabilities are averaged: what is fitted on features, outlier
            # scores and a head for another lab, then knows those that it will meet.
            mean = features.mean(dim=0)
            logits, alone = (self.network.classify(one).float().cpu() for one in (mean, features[0]))
        if self.second_opinion is not None:
            logits = logits + self.second_opinion.logits(pixels)
        return Outputs(mean.float().cpu(), logits, alone)

    def with_size(self, outputs: Outputs, marks: Sequence[PictureMarks]) -> Outputs:
        """`outputs` with what the sizes of the nuclei in N pictures say, where this predictor knows that."""
        if self.size is None:
            return outputs
        said = self.size.logits([one.nucleus_in_red_cells for one in marks])
        return outputs._replace(logits=outputs.logits + torch.from_numpy(said))

    def features(self, pixels: Tensor) -> Tensor:
        """The means over views of features, (N, D) float32 on the CPU, of pixels as `outputs` takes them."""
        with torch.inference_mode():
            return self._of_views(pixels).mean(dim=0).float().cpu()

    def _of_views(self, pixels: Tensor) -> Tensor:
        """(views, N, D), the image as it is first."""
        return torch.stack([self.runtime.values(view) for view in self.views.of(pixels.to(self.device))])

    def answers(
        self, outputs: Outputs, found: Sequence[bool | None], marks: Sequence[PictureMarks]
    ) -> Answers:
        """The answers that `outputs` give, by the rule where there is one.

        found: what `prepare` says of each picture; marks: what else is seen of it.
        """
        if self.rule is None:
            answers = uncalibrated(outputs.logits.numpy(), self.classes)
        else:
            answers = self.rule.answer(outputs.features, outputs.logits, self.classes)
        if self.rule is not None and self.pictures is not None:
            of_pictures = [self.pictures.status(one) for one in marks]
            answers = answers._replace(
                status=[one or said for one, said in zip(of_pictures, answers.status, strict=True)]
            )
        answers = answers._replace(cell_found=list(found))
        return described(answers, self.words, outputs.features.numpy(), self.classes)

    def like_these(self, outputs: Outputs, answers: Answers) -> list[LikeThese]:
        """The known cells that each of N images is like, by what was answered; [] of a model without.

        No part of `answers`, for of many known cells it takes as long as the outlier score, and few ask.
        """
        bank = known_bank(self.rule)
        if self.known is None or bank is None:
            return []
        features = outputs.features.numpy()
        return self.known.nearest(bank, features, answers.probabilities, self.classes, self.words)


def known_bank(rule: AnswerRule | None) -> np.ndarray | None:
    """Features (M, D) at unit length of the known cells that `rule` keeps; None where it keeps none."""
    return None if rule is None else rule.outlier_score.arrays.get("bank")


def _picture(image: str | Path | bytes | Image.Image | np.ndarray) -> Picture:
    if isinstance(image, str | Path):
        return Listed(str(image), "")
    if isinstance(image, np.ndarray):
        return np.ascontiguousarray(image)  # array[..., ::-1] is a view that torch refuses
    if isinstance(image, bytes | Image.Image):
        return image
    raise TypeError(f"{type(image).__name__} is no image: give paths, bytes, Pillow's images or arrays")
