"""A launcher that cannot start jobs here is told before anything is started, with the mend."""

import importlib.util
import shutil

import pytest

from wbc.errors import ConfigError
from wbc.settings.launchers import check_launcher
from wbc.settings.train import Config
from wbc.settings.typed_words import check_words


@pytest.mark.parametrize("name", ["joblib", "submitit_local", "submitit_slurm"])
def test_one_that_is_not_installed(monkeypatch, name):
    """Hydra listed the launchers that are there."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        ConfigError, match=rf'{name} is not installed: pip install "wbc\[cluster\]", or leave'
    ):
        check_words(["-m", "data=synthetic", f"hydra/launcher={name}", "seed=0,1"], "train", Config)


def test_no_cluster(monkeypatch):
    """It ended with a traceback."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ConfigError, match=r"no srun here: .* hydra/launcher=submitit_local"):
        check_words(["-m", "data=synthetic", "hydra/launcher=submitit_slurm", "seed=0,1"], "train", Config)
    check_launcher("submitit_local")
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/srun")
    check_launcher("submitit_slurm")


def test_others_are_left_to_hydra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    check_launcher("basic")
    check_launcher("one_of_mine")
