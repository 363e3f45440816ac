"""Prediction by two nodes that share a folder: one is killed, and the same command again answers the rest."""

import signal
from datetime import timedelta
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.commands import typed
from tests.helpers.nodes import Nodes
from wbc.answers.checkpoint import save_model
from wbc.answers.predictor import Predictor
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.predicting import job
from wbc.settings.predict import PredictConfig

IMAGES, A_PART = 480, 16


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model and images enough for thirty parts."""
    folder = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 64), ["Basophil", "Monocyte"]).eval()
    save_model(Predictor(network), folder / "model.ckpt", {})
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(IMAGES):
        pixels = rng.integers(0, 256, (6, 6, 3), np.uint8)
        Image.fromarray(pixels).resize((48, 48)).save(folder / "images" / f"{number:03d}.png")
    return folder


@pytest.mark.slow  # processes that import everything anew
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_node_loses_and_doubles_nothing(place, tmp_path, monkeypatch, killed):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    given = ["predict", f"checkpoint={place / 'model.ckpt'}", f"images={place / 'images'}", "batch_size=1"]
    given += ["workers=0", "accelerator=cpu", "runtime=torch"]
    alone = typed("wbc", *given, f"output={tmp_path / 'alone'}")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    shared = tmp_path / "shared"
    words = [*given, "num_nodes=2", f"output={shared}"]
    parts = [shared / "parts" / f"{start:08d}.csv" for start in range(0, IMAGES, A_PART)]
    nodes = Nodes("slurm", words, tmp_path)
    nodes.wait_until(parts[killed].exists)
    nodes.processes[killed].kill()
    nodes.processes[killed].wait()
    kept = {part: part.stat().st_mtime_ns for part in parts if part.exists()}
    assert not all(part.exists() for part in parts[killed::2])
    nodes.processes[1 - killed].send_signal(signal.SIGTERM)  # as SLURM ends a job that lost a node
    assert nodes.codes()[1 - killed] != 0
    assert not (shared / "predictions.csv").exists()
    assert all(part.stat().st_mtime_ns == written for part, written in kept.items())
    again = Nodes("slurm", words, tmp_path)
    assert again.codes() == [0, 0], again.printed()
    for name in ("predictions.csv", "errors.csv"):
        assert (shared / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert not (shared / "parts").exists()


def test_the_others_wait_for_the_list_longer_than_torch_would(monkeypatch, tmp_path):
    """A hundred million images take two hours to list; torch gave up after half an hour."""
    asked = {}
    monkeypatch.setattr(job.run_folder, "check_started", lambda devices, nodes: None)
    monkeypatch.setattr(job, "Fabric", lambda **given: asked.update(given) or Mock())
    words = dict(accelerator="cpu", devices=1, num_nodes=2, table="predictions.csv", batch_size=32)
    job._processes(PredictConfig(checkpoint="m", images="i", output=str(tmp_path), runtime="torch", **words))
    assert asked["strategy"]._timeout > timedelta(hours=12)
