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


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Makes the words of a sweep of small trainings by a launcher, which runs in tmp_path."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where jobs find this wbc
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    small = [*SMALL, "phase=head", f"data.root={tmp_path / 'cells'}", "hydra.sweep.dir=sweep"]

    def words(launcher, *more):
        return [sys.executable, "-m", "wbc", "train", "-m", *small, f"hydra/launcher={launcher}", *more]

    return words


@pytest.mark.slow  # several trainings, in processes that import everything anew
@needs("hydra_plugins.hydra_joblib_launcher")
def test_all_jobs_of_joblib_are_in_the_table(tmp_path, sweep):
    subprocess.run(sweep("joblib", "seed=0,1"), cwd=tmp_path, check=True, timeout=400)
    assert all(job["ended"] == "complete" for job in jobs_of(tmp_path / "sweep", 2))


@pytest.mark.slow  # likewise
@needs("hydra_plugins.hydra_submitit_launcher")
def test_of_eight_jobs_one_is_killed_and_repeated_by_one_command(tmp_path, sweep):
    """Nothing is lost and nothing doubled: the other seven stay as they were."""
    folder, killed = tmp_path / "sweep", 3
    jobs = sweep("submitit_local", "seed=0,1,2,3,4,5,6,7", "phase.head.max_epochs=10")
    with subprocess.Popen(jobs, cwd=tmp_path) as started:
        wait_until((folder / str(killed) / "checkpoints" / "head" / "last.ckpt").exists)
        os.kill(owner_of(folder / str(killed)), signal.SIGKILL)
    assert started.returncode != 0
    before = jobs_of(folder, 8)
    assert [job["job"] for job in before if job["val_macro_f1"] is None] == [killed]
    assert before[killed]["ended"] == "unfinished"
    of_others = {
        path: path.read_bytes()
        for number in range(8)
        if number != killed
        for path in sorted((folder / str(number)).rglob("*"))
        if path.is_file()
    }
    again = typed("wbc", "train", f"resume_from={folder / str(killed)}", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "going on from" in again.stdout
    after = jobs_of(folder, 8)
    assert after[killed]["val_macro_f1"] is not None
    assert [job for job in after if job["job"] != killed] == [job for job in before if job["job"] != killed]
    assert all(path.read_bytes() == content for path, content in of_others.items())
    assert "unfinished" not in (folder / "sweep.md").read_text()


@pytest.fixture
def two_nodes():
    """The address of a cluster of Ray's: two nodes of a core each, both on this machine."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        yield cluster.address
    finally:
        cluster.shutdown()


@pytest.mark.slow  # likewise
@needs("ray")
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_two_nodes_of_ray_share_the_jobs_and_one_that_is_killed_is_started_again(
    tmp_path, sweep, two_nodes, kill
):
    folder = tmp_path / "sweep"
    more = ["seed=0,1", "phase.head.max_epochs=40", f"hydra.launcher.address='{two_nodes}'"]
    with subprocess.Popen(sweep("ray", *more), cwd=tmp_path, stdout=subprocess.PIPE, text=True) as started:
        wait_until((folder / "0" / "checkpoints" / "head" / "last.ckpt").exists)
        wait_until((folder / "1" / "checkpoints" / "head" / "last.ckpt").exists)
        both = [owner_of(folder / name) for name in ("0", "1")]
        os.kill(both[1], kill)
        assert both[0] not in (0, both[1])  # at the same time, where a node has room for one
        assert started.stdout is not None
        said = started.stdout.read()
    assert started.returncode == 0, said
    assert all(job["ended"] == "complete" for job in jobs_of(folder, 2))
    assert "going on from" in (folder / "1" / "train.log").read_text()
    assert "going on from" not in (folder / "0" / "train.log").read_text()
