"""Jobs of a sweep in processes of their own: all are in its table, and a killed one can be repeated."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.commands import typed
from tests.helpers.places import ROOT
from tests.helpers.small_runs import SMALL


def needs(module):
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{module} not installed")


def jobs_of(folder, count):
    jobs = sorted(json.loads((folder / "sweep.json").read_text()), key=lambda job: job["job"])
    assert [job["job"] for job in jobs] == list(range(count))
    return jobs


def wait_until(condition, timeout_s=400):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def owner_of(folder):
    """The process that writes the run folder; 0 where none does yet."""
    try:
        return int(json.loads((folder / ".in_use.json").read_text())["process"])
    except (OSError, ValueError):
        return 0


@pytest.mark.slow  # several trainings, in processes that import everything anew
@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param("joblib", marks=needs("hydra_plugins.hydra_joblib_launcher")),
        pytest.param("submitit_local", marks=needs("hydra_plugins.hydra_submitit_launcher")),
    ],
)
def test_all_jobs_are_in_the_table_and_a_killed_one_is_repeated(tmp_path, monkeypatch, launcher):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where jobs find this wbc
    words = [*SMALL, "phase=head", f"data.root={tmp_path / 'cells'}", f"hydra/launcher={launcher}"]
    sweep = [sys.executable, "-m", "wbc", "train", "-m", *words, "seed=0,1", "hydra.sweep.dir=sweep"]
    if launcher == "joblib":  # a killed worker would take the others of its pool with it
        subprocess.run(sweep, cwd=tmp_path, check=True, timeout=400)
        assert all(job["val_macro_f1"] is not None for job in jobs_of(tmp_path / "sweep", 2))
        return
    killed = tmp_path / "sweep" / "1"
    with subprocess.Popen([*sweep, "phase.head.max_epochs=40"], cwd=tmp_path) as started:
        wait_until((killed / "checkpoints" / "head" / "last.ckpt").exists)
        os.kill(owner_of(killed), signal.SIGKILL)
    assert started.returncode != 0
    whole, cut = jobs_of(tmp_path / "sweep", 2)
    assert whole["val_macro_f1"] is not None
    assert cut["ended"] == "unfinished"
    again = typed("wbc", "train", f"resume_from={killed}", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "going on from" in again.stdout
    assert jobs_of(tmp_path / "sweep", 2)[1]["val_macro_f1"] is not None
    assert "unfinished" not in (tmp_path / "sweep" / "sweep.md").read_text()
