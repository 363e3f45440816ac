"""Jobs of a sweep by Ray, with a module in Ray's place that runs each in this process, one after another.

Ray itself: tests/training/test_launchers.py.
"""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.helpers.places import ROOT
from wbc.errors import ConfigError
from wbc.training import ray_jobs
from wbc.training.ray_jobs import RaySettings
from wbc.utils.stopping import handlers_kept

IN_PLACE = """
class exceptions:
    class RayError(Exception):
        pass

def init(**given):
    pass

def nodes():
    return [{"Alive": True, "Resources": {"CPU": 2.0}}]

def shutdown():
    print("shut down")

def remote(**given):
    class Task:
        def __init__(self, job):
            self.job = job
        def remote(self, *words):
            return lambda: self.job(*words)
    return Task

def wait(tasks):
    return tasks[-1:], tasks[:-1]

def get(task):
    task_number.append(task)
    if len(task_number) == 2:
        raise exceptions.RayError("its worker died")
    return task()

task_number = []
"""
WORDS = ["data=folder", "data.root=nothing_here", "model=efficientnet_lite0", "model.weights=none"]


def test_jobs_that_fail_and_whose_process_died_are_told_and_the_others_run(tmp_path):
    (tmp_path / "ray.py").write_text(IN_PLACE)
    words = ["-m", "hydra/launcher=ray", *WORDS, "hydra.sweep.dir=sweep", "seed=0,1,2"]
    done = subprocess.run(
        [sys.executable, "-m", "wbc", "train", *words],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "job 2 failed: no images: data.root = " in said
    assert "job 1 failed: a job's process died: its worker died" in said
    assert "job 0 failed: no images: data.root = " in said
    assert "shut down" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"cpus": 3},
            r"^hydra\.launcher\.cpus=3: no machine has more than 2, .* hydra\.launcher\.cpus=2 or less",
        ),
        (
            {"gpus": 1},
            r"^hydra\.launcher\.gpus=1: no machine has more than 0, .* hydra\.launcher\.gpus=0 or less",
        ),
        (
            {"address": "127.0.0.1:1"},
            r"address=127\.0\.0\.1:1: .*; start Ray there first \(ray start --head\)",
        ),
    ],
)
def test_what_cannot_be_is_told_before_a_job_starts(monkeypatch, changes, said):
    """Ray waited for a cluster for minutes, and for cores for ever."""
    ended = []
    machines = [{"Alive": True, "Resources": {"CPU": cores}} for cores in (1.0, 2.0)]
    machines.append({"Alive": False, "Resources": {"CPU": 9.0, "GPU": 9.0}})
    of_ray = {"init": lambda **_: None, "nodes": lambda: machines}
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(**of_ray, shutdown=lambda: ended.append(True)))
    usual = {"address": None, "cpus": 1, "gpus": 0, "retries": 1}
    with handlers_kept():
        with pytest.raises(ConfigError, match=said):
            ray_jobs._started(RaySettings(**usual | changes))
        assert bool(ended) == ("address" not in changes)
        ray_jobs._started(RaySettings(**usual))


def test_without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r'^hydra/launcher=ray needs Ray: pip install "wbc\[ray\]"$'):
        ray_jobs._started(RaySettings(address=None, cpus=1, gpus=0, retries=1))
