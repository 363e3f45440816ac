"""Writing files so that a reader never meets half of one: beside, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MARK = ".wbc-"  # in names of files that are being written
_UNFINISHED = re.compile(rf"\..*{re.escape(_MARK)}\d+(\.\w+)?")


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the place of `path` when the block ends well.

    The suffix is kept, for writers that choose the format by it.  The process id keeps two runs apart.
    An OSError names a file: the system itself says of a full disk only that it is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}{_MARK}{os.getpid()}{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        beside.unlink(missing_ok=True)


def system_error(error: OSError, folder: Path | str, other_folder: str) -> str:
    """What an error of the system says in one sentence that ends with its mend.

    folder: where results go; other_folder: how to choose another.
    """
    where, what = error.filename or folder, error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{where} could not be written: {what}; free some space"
    if Path(where).is_relative_to(folder):
        return f"{where}: {what}; mend that, or give {other_folder}<folder>"
    return f"{where}: {what}; mend it"


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left beside their files, to any depth; nobody may be writing there."""
    for left in folder.rglob(f".*{_MARK}*"):
        if _UNFINISHED.fullmatch(left.name):
            left.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN is refused, for no other reader takes it."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def file_hash(path: Path | str) -> str:
    """64 hexadecimal digits (SHA-256) of what is in a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
