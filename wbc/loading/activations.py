"""The frozen part's outputs on disk: computed once, read back in every epoch.

A store is a memory-mapped array of one row a view, beside a small JSON file that names its shape, its type
and the key of everything that decides its content.  The JSON file is written last, so that a store whose
building was killed, or found the disk full, is never read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wbc.utils.files import read_json, write_json

# numpy has no bfloat16: its bits travel as int16.
_STORED: dict[torch.dtype, np.dtype[Any]] = {
    torch.bfloat16: np.dtype(np.int16),
    torch.float16: np.dtype(np.float16),
    torch.float32: np.dtype(np.float32),
}
_VERSION = 1  # of the layout below


def content_key(**parts: Any) -> str:
    """A name for content that is made from `parts` (plain values) and nothing else."""
    text = json.dumps(parts | {"layout": _VERSION}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class ActivationStore:
    """Values (rows, *shape) of one set of images, in the type in which they were computed.

    Images of a training set have several rows: row `view * images + image`.  Feature maps lie channels last,
    as convolutions make and want them.
    """

    def __init__(
        self, path: Path, rows: int, shape: Sequence[int], dtype: torch.dtype, *, write: bool
    ) -> None:
        self.path = path
        self.shape = tuple(shape)
        self.dtype = dtype
        on_disk = (rows, *self.shape[1:], self.shape[0]) if len(self.shape) == 3 else (rows, *self.shape)
        self._rows: np.memmap = np.memmap(path, _STORED[dtype], "r+" if write else "r", shape=on_disk)

    @classmethod
    def size_bytes(cls, rows: int, shape: Sequence[int], dtype: torch.dtype) -> int:
        """What a store takes on disk."""
        return rows * int(np.prod(shape)) * _STORED[dtype].itemsize

    @classmethod
    def allocate(cls, path: Path, rows: int, shape: Sequence[int], dtype: torch.dtype) -> None:
        """Reserve the room; OSError where the disk has not enough of it."""
        size = cls.size_bytes(rows, shape, dtype)
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):  # else a full disk would show as a crash in mid-write
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)

    def flush(self) -> None:
        """See that what was put is in the file."""
        self._rows.flush()

    def complete(self, path: Path, key: str) -> None:
        """Take the place of `path` and be marked as whole: from now on `opened` finds it there."""
        _described(path).unlink(missing_ok=True)
        os.replace(self.path, path)
        dtype = str(self.dtype).removeprefix("torch.")
        described = {"key": key, "rows": len(self._rows), "shape": self.shape, "dtype": dtype}
        write_json(_described(path), described)

    @classmethod
    def opened(cls, path: Path, key: str) -> ActivationStore | None:
        """The whole store of that key, to read; None where there is none."""
        if not _described(path).exists() or not path.exists():
            return None
        found = read_json(_described(path))
        if found["key"] != key:
            return None
        dtype = getattr(torch, found["dtype"])
        return cls(path, found["rows"], found["shape"], dtype, write=False)

    def put(self, rows: Sequence[int], values: Tensor) -> None:
        """Write values (len(rows), *shape)."""
        values = values.to(self.dtype)
        if values.ndim == 4:
            values = values.permute(0, 2, 3, 1)
        values = values.contiguous()
        bits = values.view(torch.int16) if self.dtype == torch.bfloat16 else values
        self._rows[list(rows)] = bits.numpy()

    def get(self, rows: Sequence[int]) -> Tensor:
        """Values (len(rows), *shape), channels last."""
        values = torch.from_numpy(self._rows[list(rows)])
        if self.dtype == torch.bfloat16:
            values = values.view(torch.bfloat16)
        return values.permute(0, 3, 1, 2) if values.ndim == 4 else values


def _described(path: Path) -> Path:
    return path.with_suffix(".json")
