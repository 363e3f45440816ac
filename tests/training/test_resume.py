"""A run that was stopped amid an epoch ends as if it had not been, however its images are loaded."""

import json

import pandas as pd
import pytest
import torch

from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from wbc.training.classifier import Classifier
from wbc.training.job import train

THREE_EPOCHS = ["phase=head", "phase.head.max_epochs=3", "+trainer.enable_progress_bar=false"]


@pytest.mark.parametrize(
    "loading",
    [
        ["data.workers=1", "cache_views=0"],  # loader processes that stay, views augmented anew
        ["data.workers=2", "cache_views=2"],
        ["data.workers=0", "cache_views=0", "cache_limit_gb=0"],
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
