"""Image trees on disk, for tests that read them as a user's."""

import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from wbc.labels import CLASSES
from wbc.settings.train import DataConfig


@functools.cache
def picture(seed, size=8):
    """(size, size, 3) uint8 noise that no other seed gives."""
    rgb = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    rgb.flags.writeable = False
    return rgb


def write_image(path, rgb):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return path


def write_classes(folder, images: int, classes: Iterable[str] = CLASSES, first_seed=0):
    """`folder`/<class>/<n>.png, every picture different; returns the next unused seed."""
    seed = first_seed
    for name in classes:
        for number in range(images):
            write_image(Path(folder) / name / f"{number:03}.png", picture(seed))
            seed += 1
    return seed


def write_splits(root, **images: int):
    """`root`/<split>/<class>/<n>.png, every picture different, with as many a class as the split's number."""
    seed = 0
    for split, count in images.items():
        seed = write_classes(Path(root) / split, count, first_seed=seed)


def data_config(root, **changes):
    """Settings that read `root`, as class folders unless `changes` say otherwise."""
    settings = {
        "name": "tree",
        "source": "folder",
        "root": str(root),
        "classes": list(CLASSES),
        "checks_dir": str(Path(root).parent / "cache"),
        "workers": 0,
    }
    return DataConfig(**(settings | changes))
