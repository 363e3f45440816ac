"""A run that was stopped amid an epoch ends as if it had not been, however its images are loaded."""

import json
import os
import resource
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from wbc.datasets.manifest import read_manifest
from wbc.errors import CheckpointError, DataError
from wbc.training.checkpoint_files import WholeFiles
from wbc.training.classifier import Classifier
from wbc.training.job import train

THREE_EPOCHS = ["phase=head", "phase.head.max_epochs=3", "+trainer.enable_progress_bar=false"]


@pytest.mark.parametrize(
    "loading",
    [
        ["data.workers=1", "cache_views=0"],  # loader processes that stay, views augmented anew
        pytest.param(["data.workers=2", "cache_views=2"], marks=pytest.mark.slow),
        pytest.param(["data.workers=0", "cache_views=0", "cache_limit_gb=0"], marks=pytest.mark.slow),
    ],
)
def test_orders_views_and_weights_are_those_of_an_uninterrupted_run(tmp_path, monkeypatch, loading):
    """With loader processes the first epoch after a resume repeated order and views of the very first."""
    places = [f"data.root={tmp_path}/cells", f"data.checks_dir={tmp_path}"]
    config = composed(*SMALL, *THREE_EPOCHS, *loading, *places)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    metrics = train(config, whole)
    step = Classifier.training_step

    def killed(self, batch, batch_idx):
        if self.current_epoch == 1 and batch_idx == 1:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", killed)
        with pytest.raises(RuntimeError, match="killed"):
            train(config, resumed)
    again = train(config, resumed)
    for record in (*metrics["phases"].values(), *again["phases"].values()):
        del record["seconds"], record["cache_seconds"]
    assert json.dumps(again) == json.dumps(metrics)
    histories = [
        pd.read_csv(folder / "logs/head/history.csv").drop(columns="seconds") for folder in (whole, resumed)
    ]
    pd.testing.assert_frame_equal(*histories)
    states = [
        torch.load(folder / "checkpoints/head/last.ckpt", weights_only=True)["state_dict"]
        for folder in (whole, resumed)
    ]
    different = [key for key, value in states[0].items() if not torch.equal(value, states[1][key])]
    assert different == []


def test_a_run_whose_images_were_replaced_does_not_go_on_until_they_are_back(tmp_path):
    """It went on without a word, its epochs of two data sets."""
    config = composed(*SMALL, *THREE_EPOCHS, f"data.root={tmp_path}/cells", f"data.checks_dir={tmp_path}")
    folder = tmp_path / "run"
    metrics = train(config, folder)
    (folder / "logs" / "head" / "result.json").unlink()
    first, second, third = read_manifest(folder / "manifest.csv")["path"].head(3)
    before = Path(first).read_bytes()
    shutil.copy(second, first)
    os.rename(third, f"{third}.away")
    began = r"2 of 100 images changed since the run in .*/run began, e\.g\. "
    said = rf"{began}{first} \(it shows other pixels\); {third}"
    with pytest.raises(DataError, match=said):
        train(config, folder)
    Path(first).write_bytes(before)  # with another time, which is no other image
    os.rename(f"{third}.away", third)
    again = train(config, folder)
    assert again["phases"]["head"]["sets"] == metrics["phases"]["head"]["sets"]
    (folder / "pixels.csv").unlink()
    train(config, folder)


def test_a_damaged_checkpoint_is_named_with_what_goes_on_without_it(tmp_path):
    config = composed(*SMALL, *THREE_EPOCHS, f"data.root={tmp_path}/cells", f"data.checks_dir={tmp_path}")
    folder = tmp_path / "run"
    metrics = train(config, folder)
    (folder / "logs" / "head" / "result.json").unlink()
    last = folder / "checkpoints" / "head" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=rf"{last}.* delete {last}, then continue with resume_from"):
        train(config, folder)
    last.unlink()
    assert train(config, folder)["phases"]["head"]["sets"] == metrics["phases"]["head"]["sets"]


@pytest.mark.parametrize("phase", ["head", "finetune"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_missing_best_epoch_is_named_with_what_is_to_be_deleted(tmp_path, phase, finished):
    """It said that weights, timm, package or none were to be given, where a phase had been finished."""
    places = [f"data.root={tmp_path}/cells", f"data.checks_dir={tmp_path}"]
    config = composed(*SMALL, "phase.head.max_epochs=2", "+trainer.enable_progress_bar=false", *places)
    folder = tmp_path / "run"
    metrics = train(config, folder)
    before = {one: metrics["phases"][one]["sets"] for one in ("head", "finetune")}
    if not finished:
        (folder / "logs" / phase / "result.json").unlink()
    best = folder / "checkpoints" / phase / "best.ckpt"
    best.unlink()
    with pytest.raises(CheckpointError, match=rf"^no file {best}, .* continue with resume_from$") as said:
        train(config, folder)
    for place in str(said.value).partition(" delete ")[2].partition(", then ")[0].split(", "):
        shutil.rmtree(place)
    again = train(config, folder)
    assert {one: again["phases"][one]["sets"] for one in ("head", "finetune")} == before


def test_a_checkpoint_that_finds_the_disk_full_leaves_the_one_before(tmp_path):
    """Lightning writes it to another file system and copies; a kill left half of it."""
    WholeFiles().save_checkpoint({"epoch": 1}, tmp_path / "last.ckpt")

    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # stands for the full disk
    try:
        with pytest.raises(OSError, match=r"File too large: '.*last\.ckpt'"):
            WholeFiles().save_checkpoint({"weight": torch.ones(100_000)}, tmp_path / "last.ckpt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert WholeFiles().load_checkpoint(tmp_path / "last.ckpt") == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
