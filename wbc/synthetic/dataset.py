"""A data set of drawn cells on disk: images, masks and a manifest, built once and reused.

Which images it holds is planned in `wbc.synthetic.plan`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import uuid
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from wbc.errors import ConfigError, DataError
from wbc.labels import CLASSES
from wbc.synthetic.draw import draw_cell
from wbc.synthetic.labs import Lab, lab_named, random_lab, smear_of
from wbc.synthetic.plan import RANDOM_LABS, SMEARS, Item, items_of_random_labs, planned_items
from wbc.synthetic.schematic import DRAWINGS
from wbc.synthetic.varied import VARIANTS
from wbc.utils.machine import available_cores
from wbc.utils.progress import Progress

# Part of a data set's key: raise it whenever the same numbers would give other pictures or another layout.
DRAWING_VERSION = 1
RANDOM_LABS_VERSION = 2  # likewise, for what `write_random_labs` alone draws

# Below this many images, starting processes takes longer than drawing.
_IMAGES_WORTH_A_PROCESS = 300


def write_dataset(
    root: Path,
    images_per_class: int,
    train_labs: Sequence[str],
    unseen_labs: Sequence[str],
    seed: int,
    size_px: int = 224,
    workers: int | None = None,
) -> Path:
    """Draw the data set, or find it complete from an earlier call; returns the path of its manifest.csv.

    `images_per_class` is the mean over classes in the training split; val, test and test_other_lab have a
    third of it each (see `synthetic_plan`). Its folder below `root` is named after every argument that
    changes a picture. It is built beside that place and moved there when whole, so that a killed build is
    never taken for a data set. The pictures do not depend on `workers`, the number of processes (None:
    one a core, fewer for a small set).
    Raises ConfigError, naming the mend, for a number out of range, an unknown laboratory or one that is
    named twice; DataError where nothing can be written.
    """
    _check(images_per_class, seed, size_px)
    _check_labs(train_labs, unseen_labs)
    folder = root / dataset_key(images_per_class, train_labs, unseen_labs, seed, size_px)
    items = planned_items(images_per_class, train_labs, unseen_labs)
    return _write(folder, items, seed, size_px, workers)


def write_random_labs(
    root: Path,
    images_per_class: int,
    classes: Sequence[str],
    seed: int,
    size_px: int = 224,
    workers: int | None = None,
) -> Path:
    """The same for training images of `classes` alone, each of its class from another lab.

    The labs are `wbc.synthetic.labs.random_lab`'s, the cells `wbc.synthetic.varied`'; the first image of
    each class comes from the same lab, and so on, as far as the class goes.
    Raises ConfigError, naming the mend, for a number out of range; DataError where nothing can be written.
    """
    _check(images_per_class, seed, size_px)
    chosen = [label for label in CLASSES if label in classes]
    digest = hashlib.sha256(json.dumps([DRAWING_VERSION, chosen]).encode()).hexdigest()[:8]
    name = f"v{RANDOM_LABS_VERSION}-random_labs-{images_per_class}_per_class-{size_px}px-seed_{seed}-{digest}"
    return _write(root / name, items_of_random_labs(images_per_class, chosen), seed, size_px, workers)


def _write(folder: Path, planned: Iterable[Item], seed: int, size_px: int, workers: int | None) -> Path:
    manifest = folder / "manifest.csv"
    if manifest.is_file():
        return manifest
    items = list(planned)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        _make_folders(part, items)
        _draw_all(items, part, seed, size_px, workers)
        _write_manifest(part / manifest.name, items)
        _move_into_place(part, folder)
    except OSError as problem:
        raise DataError(
            f"drawn cells cannot be kept in {folder.parent} ({problem.strerror}); give another place, or room"
        ) from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def dataset_key(
    images_per_class: int, train_labs: Sequence[str], unseen_labs: Sequence[str], seed: int, size_px: int
) -> str:
    """The folder's name: what can be read, then a hash of everything, the laboratories' values included."""
    labs = [[asdict(lab_named(name)) for name in names] for names in (train_labs, unseen_labs)]
    everything = [DRAWING_VERSION, images_per_class, labs, seed, size_px]
    digest = hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:8]
    return f"v{DRAWING_VERSION}-{images_per_class}_per_class-{size_px}px-seed_{seed}-{digest}"


def _check(images_per_class: int, seed: int, size_px: int) -> None:
    if images_per_class < 1:
        raise ConfigError(f"images_per_class is {images_per_class}: set it to 1 or more")
    if size_px < 32:
        raise ConfigError(f"size_px is {size_px}: set it to 32 or more, smaller cells show no nucleus")
    if seed < 0:
        raise ConfigError(f"seed is {seed}: set it to 0 or more")


def _check_labs(train_labs: Sequence[str], unseen_labs: Sequence[str]) -> None:
    if not train_labs:
        raise ConfigError("train_labs is empty: name at least one lab, such as lab_a")
    for name in (*train_labs, *unseen_labs):
        lab_named(name)
        if name in train_labs and name in unseen_labs:
            raise ConfigError(f"{name} is in both train_labs and unseen_labs: take it out of one of them")
        if [*train_labs, *unseen_labs].count(name) > 1:
            raise ConfigError(f"{name} is listed twice: name each lab once")


def _make_folders(folder: Path, items: Sequence[Item]) -> None:
    for path in {item.path(kind).parent for item in items for kind in ("images", "masks")}:
        (folder / path).mkdir(parents=True)


def _draw_all(items: Sequence[Item], folder: Path, seed: int, size_px: int, workers: int | None) -> None:
    if workers is None:
        workers = min(available_cores(), 1 + len(items) // _IMAGES_WORTH_A_PROCESS)
    draw = partial(_draw_item, folder=folder, seed=seed, size_px=size_px)
    with Progress("drawing cells", "image", len(items)) as bar:
        if workers <= 1:
            for item in items:
                draw(item)
                bar.update()
            return
        # Spawned, not forked: the caller may have started threads (torch, OpenCV).
        spawn = get_context("spawn")
        # One OpenCV thread each: the processes already fill the cores.
        with ProcessPoolExecutor(workers, spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
            for _ in pool.map(draw, items, chunksize=32):
                bar.update()


def _draw_item(item: Item, folder: Path, seed: int, size_px: int) -> None:
    numbers = [seed, list(SMEARS).index(item.split), CLASSES.index(item.label), item.number]
    rng = np.random.default_rng(numbers)
    drawings = VARIANTS if item.lab == RANDOM_LABS else DRAWINGS
    image, mask = draw_cell(item.label, _smear(item, seed), rng, size_px, drawings)
    _write_png(folder / item.path("images"), image[..., ::-1])
    _write_png(folder / item.path("masks"), mask)


def _smear(item: Item, seed: int) -> Lab:
    # From the laboratory's name, not its place in a list: a smear looks the same in every data set.
    rng = np.random.default_rng([seed, zlib.crc32(item.lab.encode()), item.smear])
    return random_lab(rng) if item.lab == RANDOM_LABS else smear_of(lab_named(item.lab), rng)


def _write_png(path: Path, pixels: np.ndarray) -> None:
    # OpenCV's own default compression: larger files than level 1, in half the time.
    _, coded = cv2.imencode(".png", pixels)
    path.write_bytes(coded.tobytes())


def _write_manifest(path: Path, items: Sequence[Item]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split", "group", "source"])
        for item in items:
            group = f"{item.lab}-smear_{item.smear:02d}"
            writer.writerow([item.path("images").as_posix(), item.label, item.split, group, item.lab])


def _move_into_place(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:
        # Another process was faster with the same set; anything else in the way is the user's to see.
        if not (folder / "manifest.csv").is_file():
            raise
