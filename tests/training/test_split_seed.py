"""A run's seed leaves its images where they are; the seed of the split moves them."""

from pathlib import Path

from tests.helpers.configs import composed
from tests.helpers.trees import write_classes
from wbc.settings.run_folder import start
from wbc.training.manifest import run_manifest_of


def splits(folder, *settings):
    config = composed("data=folder", f"data.root={folder / 'cells'}", f"data.checks_dir={folder}", *settings)
    run = folder / "_".join(settings)
    start(config, run)
    rows = run_manifest_of(config, run)
    return dict(zip(rows["path"].map(lambda path: Path(path).name), rows["split"], strict=True))


def test_seeds_are_compared_on_the_same_images(tmp_path):
    write_classes(tmp_path / "cells", 10)
    first = splits(tmp_path, "seed=0")
    assert set(first.values()) == {"train", "val", "test"}
    assert splits(tmp_path, "seed=1") == first
    assert splits(tmp_path, "data.split_seed=1") != first
