"""What the campaign attacks: a small run with everything a model can have, and the model adapted from it."""

from pathlib import Path

import pytest

from tests.helpers.commands import typed
from tests.helpers.small_runs import SMALL

EVERYTHING = ["model.test_time.draws=2", "model.second_opinion=0.5", "model.size_opinion=true"]


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    """`cells`, `checks`, the run folder `run` and the adapted model's `adapted`."""
    folder = tmp_path_factory.mktemp("place")
    cells, checks = f"data.root={folder / 'cells'}", f"checks_dir={folder / 'checks'}"
    made = typed("train.py", *SMALL, *EVERYTHING, cells, f"data.{checks}", f"hydra.run.dir={folder / 'run'}")
    assert made.returncode == 0, made
    model = f"checkpoint={folder / 'run' / 'model.ckpt'}"
    made = typed("adapt.py", model, "data=test", "views=1", checks, f"hydra.run.dir={folder / 'adapted'}")
    assert made.returncode == 0, made
    return folder
