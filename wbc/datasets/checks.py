"""Decodes every image once before training, in several processes."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from wbc.datasets.check_cache import Checked, recall, remember, stamp
from wbc.errors import DataError
from wbc.images.examine import Examination, examine
from wbc.utils.machine import available_cores
from wbc.utils.progress import progress

log = logging.getLogger(__name__)

_MIN_FOR_PROCESSES = 256  # below, starting them takes longer than they save
_CHUNK = 32  # files handed to a process at a time
_REMEMBER_EVERY = 1024  # files, so that an interrupted check of a large set is not lost


class Examined(NamedTuple):
    """Path -> pixel hash of the images that decode, path -> reason of those that do not, and pixel hash ->
    thumbnail (`wbc.images.thumbnail`).
    """

    hashes: dict[str, str]
    reasons: dict[str, str]
    thumbnails: dict[str, bytes]

    def thumbnails_of(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Those of some files that decode, each picture once."""
        names = dict.fromkeys(self.hashes[path] for path in paths if path in self.hashes)
        return {name: self.thumbnails[name] for name in names}


def examine_images(paths: Sequence[str], checks_dir: str, workers: int | None) -> Examined:
    """Decodes each file, or recalls that it did before and has not changed since.

    paths: absolute.  workers: processes; None for one a core, 0 or 1 for this one alone.
    Failures are not remembered: permissions and network drives mend without the file changing.
    """
    cache = Path(checks_dir).expanduser() / "images.sqlite"
    stamps = {path: stamp(path) for path in paths}
    hashes, thumbnails = recall(cache, stamps)
    reasons: dict[str, str] = {}
    unknown = [path for path in stamps if path not in hashes]
    log.info("image check: %d files, %d of them checked by an earlier run", len(stamps), len(hashes))
    fresh: list[Checked] = []
    results = _examine_each(unknown, workers)
    for path, found in progress(results, "checking images", "image", len(unknown)):
        if found.reason:
            reasons[path] = found.reason
            continue
        hashes[path] = found.pixels
        thumbnails[found.pixels] = found.thumbnail
        fresh.append(Checked(path, stamps[path], found.pixels, found.thumbnail))
        if len(fresh) >= _REMEMBER_EVERY:
            remember(cache, fresh)
            fresh.clear()
    if fresh:
        remember(cache, fresh)
    return Examined(hashes, reasons, thumbnails)


def _examine_each(paths: Sequence[str], workers: int | None) -> Iterator[tuple[str, Examination]]:
    """Each file with what was found, in order."""
    processes = min(available_cores() if workers is None else workers, len(paths) // _CHUNK)
    if processes < 2 or len(paths) < _MIN_FOR_PROCESSES:
        for path in paths:
            yield path, examine(path)
        return
    # spawn: a fork of a process with torch threads can hang
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            yield from zip(paths, pool.map(examine, paths, chunksize=_CHUNK), strict=True)
    except BrokenProcessPool as problem:
        raise DataError(
            f"a process that checked images ended abruptly ({problem}): out of memory, or the calling script "
            'runs at import (put it under `if __name__ == "__main__":`). data.workers=0 checks in one process'
        ) from problem
