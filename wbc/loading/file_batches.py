"""Batches of image files, decoded in other processes or in threads; what cannot be read is told, not skipped.

Worker processes import this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from wbc.datasets.image_list import Listed
from wbc.errors import ImageError
from wbc.images.cell_finder import find_nucleus
from wbc.images.decode import decode
from wbc.images.picture_marks import PictureMarks, picture_marks
from wbc.images.prepare import Prepare
from wbc.images.standardised import Placement, StandardisedPicture
from wbc.utils.machine import available_cores, default_workers, opencv_in_one_thread

# A file, what a file holds, an image that Pillow opened, or a picture (H, W, 3) uint8 RGB.
Picture: TypeAlias = "Listed | bytes | Image.Image | np.ndarray"


class Batches(Protocol):
    """A list of images in batches, as `wbc.datasets.image_list.ImageList` is."""

    batch_size: int

    def __len__(self) -> int:
        """Number of batches."""

    def batch(self, number: int) -> Sequence[Picture]:
        """The images of one batch."""


class InMemory:
    """The batches of a list that fits in memory."""

    def __init__(self, images: Sequence[Picture], batch_size: int) -> None:
        self.images = images
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def batch(self, number: int) -> Sequence[Picture]:
        """The images of one batch, the last of which may be shorter."""
        start = number * self.batch_size
        return self.images[start : start + self.batch_size]


def files_in_batches(paths: Sequence[str], batch_size: int) -> InMemory:
    """The batches of these files, of no group."""
    return InMemory([Listed(path, "") for path in paths], batch_size)


class FileBatch(NamedTuple):
    """images: N of the list; reasons: why each cannot be read, "" where it can.

    Of the K that can, pixels (K, 3, S, S) uint8, and what the preparation says of each: found, whether there
    is a cell, and its place in the frame; size: height and width of the picture before; and its marks.
    """

    number: int
    images: Sequence[Picture]
    reasons: list[str]
    pixels: Tensor
    found: list[bool | None]
    placements: list[Placement | None]
    sizes: list[tuple[int, int]]
    marks: list[PictureMarks]

    @property
    def unreadable(self) -> list[tuple[str, str]]:
        """Path and reason of each that cannot be read."""
        return [
            (image.path if isinstance(image, Listed) else "an image in memory", reason)
            for image, reason in zip(self.images, self.reasons, strict=True)
            if reason
        ]


class _Seen(NamedTuple):
    view: StandardisedPicture
    size: tuple[int, int]
    marks: PictureMarks


class FileBatches(Dataset[FileBatch]):
    """A list's batches by number.  red_cells: as `picture_marks` takes it."""

    def __init__(self, images: Batches, prepare: Prepare, red_cells: bool = False) -> None:
        self.images = images
        self.prepare = prepare
        self.red_cells = red_cells

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> FileBatch:
        images = self.images.batch(number)
        if get_worker_info() is None:
            with ThreadPoolExecutor(available_cores()) as pool:
                looked = list(pool.map(self._look, images))
        else:  # one of several processes
            looked = [self._look(image) for image in images]
        seen = [one for one in looked if not isinstance(one, str)]
        side = self.prepare.size_px
        pixels = [np.empty((0, side, side, 3), np.uint8), *(one.view.pixels[None] for one in seen)]
        return FileBatch(
            number,
            images,
            [one if isinstance(one, str) else "" for one in looked],
            torch.from_numpy(np.concatenate(pixels)).permute(0, 3, 1, 2),
            [one.view.found for one in seen],
            [one.view.placement for one in seen],
            [one.size for one in seen],
            [one.marks for one in seen],
        )

    def _look(self, image: Picture) -> _Seen | str:
        """What the network sees of it; or why it cannot be read."""
        try:
            if isinstance(image, Listed):
                image.path.encode()  # a name that is no UTF-8 could stand in no table
                image = decode(image.path)
            elif not isinstance(image, np.ndarray):
                image = decode(image)
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                return f"an array of {image.dtype} {image.shape}; give uint8 (height, width, 3) RGB"
            nucleus = find_nucleus(image)
            view = self.prepare.picture(image, nucleus)
            marks = picture_marks(image, nucleus, self.red_cells)
            return _Seen(view, (image.shape[0], image.shape[1]), marks)
        except UnicodeEncodeError:
            return "the name is not UTF-8; rename it (e.g. with convmv)"
        except ImageError as problem:
            return problem.reason


def loader_processes(asked: int | None, device: torch.device) -> int:
    """How many, where none are asked for: none beside a network on the CPU.

    It computes in threads of equal parts on all cores, and each waits for the one that a loader held up.
    Between two batches all cores are free to decode.
    """
    if asked is not None:
        return asked
    return 0 if device.type == "cpu" else default_workers()


def batch_loader(batches: FileBatches, numbers: Iterable[int], workers: int) -> Iterator[FileBatch]:
    """The batches of these numbers in this order, made ahead by `workers` processes; 0: by threads."""
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=opencv_in_one_thread,
    )
    yield from loader if workers else _one_ahead(loader)


def _one_ahead(loader: DataLoader[FileBatch]) -> Iterator[FileBatch]:
    """Each batch is made while the one before is used: decoding fills the gaps that the network leaves."""
    batches = iter(loader)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch
