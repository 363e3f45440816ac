"""Decoded and resized images in a memory-mapped file, filled as they are first looked at.

Shared by loader processes, ranks and phases.  A row counts once its flag is set, after its pixels: two
processes that fill the same row write the same bytes, and a killed run leaves rows whole or not there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wbc.images.decode import decode
from wbc.images.prepare import Prepare


class DecodedImages:
    """Images of `paths` as the network takes them, decoded at most once; without a `file`, each time."""

    _filled: np.memmap

    def __init__(self, paths: Sequence[str], prepare: Prepare, file: Path | None = None) -> None:
        self.paths = list(paths)
        self.prepare = prepare
        self.file = file
        self._pixels: np.memmap | None = None
        if file is not None:
            shape = (len(self.paths), prepare.size_px, prepare.size_px, 3)
            self._pixels = np.memmap(file, np.uint8, "r+", shape=shape)
            offset = int(np.prod(shape))
            self._filled = np.memmap(file, np.uint8, "r+", offset=offset, shape=(len(self.paths),))

    @staticmethod
    def size_bytes(images: int, image_size_px: int) -> int:
        """What the file takes: the pixels and a flag for each image."""
        return images * (image_size_px**2 * 3 + 1)

    @classmethod
    def allocate(cls, file: Path, images: int, image_size_px: int) -> None:
        """Make an empty file, or keep an interrupted run's; OSError where the disk is full."""
        size = cls.size_bytes(images, image_size_px)
        if file.exists() and file.stat().st_size == size:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".part")
        with beside.open("wb") as handle:
            if hasattr(os, "posix_fallocate"):  # else a full disk would show as a crash in mid-write
                os.posix_fallocate(handle.fileno(), 0, size)
            else:
                handle.truncate(size)
        os.replace(beside, file)

    def close(self) -> None:
        """Let go of the file; images are decoded each time from now on."""
        self._pixels = None
        self.file = None

    def __getstate__(self) -> dict[str, Any]:
        """For processes that are spawned: the file's name, since a pickled memory map is a copy of it all."""
        return {"paths": self.paths, "prepare": self.prepare, "file": self.file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the file anew."""
        self.__init__(**state)  # type: ignore[misc]

    def __getitem__(self, index: int) -> np.ndarray:
        """Image number `index`; ImageError where it cannot be decoded."""
        if self._pixels is not None and self._filled[index]:
            return np.array(self._pixels[index])
        image = self.prepare(decode(self.paths[index]))
        if self._pixels is not None:
            self._pixels[index] = image
            self._filled[index] = 1
        return image
