"""A launcher that cannot start jobs here is told before anything is started, with the mend."""

import importlib.util
import re
import shutil

import pytest

from wbc.errors import ConfigError
from wbc.settings.evaluate import EvaluateConfig
from wbc.settings.sweeps import check_launcher
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


def refused(*words):
    with pytest.raises(ConfigError) as error:
        check_words(["-m", "data=synthetic", *words], "train", Config)
    return str(error.value)


@pytest.mark.parametrize(
    "space",
    ["interval(1e-5)", "interval(a, b)", "tag(log, interval(1e-5, 1e-3)", "choice(1,", "range(a,2,c)"],
)
def test_a_typed_search_space_that_does_not_parse(space):
    """It was said to quote the value, which left nothing to search."""
    said = refused("hydra/sweeper=optuna", f"phase.head.lr={space}")
    assert said == (
        f"phase.head.lr={space} does not parse: expected choice(a, b), range(1, 5), interval(0.1, 0.5) or "
        "tag(log, interval(1e-5, 1e-3)), the last two by hydra/sweeper=optuna, the whole in quotes"
    )


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (["hydra/sweeper=optun"], "hydra/sweeper=optuna"),
        (["hydra/launcher=jobli"], "hydra/launcher=joblib"),
        (["hydra/launcher=rey"], "hydra/launcher=ray"),
        (["hydra/sweeper=optuna", "hydra.sweeper.n_trails=3"], "hydra.sweeper.n_trials"),
        (["hydra/launcher=ray", "hydra.launcher.cpu=3"], "hydra.launcher.cpus"),
        (["hydra/launcher=ray", "hydra.launcher.xyz=3"], "there are address, cpus, gpus, retries"),
        (["hydra.sweep.dirr=sweep"], "hydra.sweep.dir"),
        (["experiment=demo_search", "hydra.sweeper.n_trails=3"], "hydra.sweeper.n_trials"),
    ],
)
def test_a_misspelt_name_of_a_sweep_is_answered_with_the_one_that_is_meant(words, mend):
    """Hydra said how to append the key, or listed its own."""
    assert mend in refused(*words)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("hydra.job.num=three", "could not be converted to Integer; leave it out"),
        ("hydra.job.chdir=perhaps", "is not a valid bool .*; leave it out, and it is False"),
        ("hydra.mode=ALL", "expected one of .*RUN.*; leave it out"),
    ],
)
def test_a_value_that_hydra_does_not_take_is_told_with_the_mend(word, said):
    """It ended with four lines of Hydra's own terms and no mend."""
    assert re.search(rf"^{re.escape(word)}: .*{said}$", refused(word, "seed=0,1"))
    check_words(["-m", "data=synthetic", "seed=0,1"], "train", Config)  # the mend


def test_numbers_of_an_installed_launcher():
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="launchers not installed")
    joblib = "hydra/launcher=joblib"
    said = refused(joblib, "hydra.launcher.n_jobs=two")
    assert said.endswith("'two' of type 'str' could not be converted to Integer; leave it out, and it is -1")
    assert "nearest that exists is hydra.launcher.n_jobs" in refused(joblib, "hydra.launcher.n_job=2")


def test_right_names_of_a_sweep_pass():
    for words in (
        ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "seed=choice(0,1)"],
        ["hydra/launcher=ray", "hydra.launcher.cpus=2", "seed=0,1"],
        [
            "experiment=demo_search",
            "hydra.sweeper.n_trials=40",
            "hydra.sweeper.n_jobs=auto",
        ],  # a preset's sweeper
        ["hydra.sweep={dir:x}", "hydra.sweeper.params={seed:'0,1'}", "hydra.job.env_set={A:1}"],
        ["hydra/launcher=their_own", "hydra.launcher.xyz=2", "seed=0,1"],
        ["hydra/launcher=ray_aws", "seed=0,1"],
        [
            "hydra.verbose=true",
            "hydra.sweep.dir=${name}",
            "+hydra.job.env_set.A=1",
            "++hydra.x=1",
            "seed=0,1",
        ],
        ["--config-dir", "presets", "hydra/launcher=rey", "seed=0,1"],
    ):
        check_words(["-m", "data=synthetic", *words], "train", Config)


def test_what_one_command_has_is_not_proposed_to_another():
    check_words(["-m", "checkpoint=a.ckpt", "data=cells", "hydra/launcher=rey"], "evaluate", EvaluateConfig)
