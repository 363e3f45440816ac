"""The average of weights against its closed form, in what is saved, evaluated and resumed."""

import json

import pandas as pd
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from wbc.answers.checkpoint import load_network
from wbc.training.average import AverageWeights
from wbc.training.classifier import Classifier
from wbc.training.job import train

KERNEL = "network.head.6.weight"


class Small(LightningModule):
    """A linear layer that keeps its weights of every step."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 1)
        self.steps = []

    def training_step(self, batch, batch_idx):
        return self.layer(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.steps.append(self.layer.weight.detach().clone())


def exponential(values, decay):
    average = values[0]
    for value in values[1:]:
        average = decay * average + (1 - decay) * value
    return average


@pytest.mark.parametrize(
    ("decay", "from_epoch", "expected"),
    [
        (0.8, 0, lambda steps: exponential(steps, 0.8)),
        (0.8, 2, lambda steps: exponential(steps[8:], 0.8)),
        (None, 0, lambda steps: torch.stack(steps).mean(dim=0)),
        (None, 1, lambda steps: torch.stack(steps[4:]).mean(dim=0)),
    ],
)
def test_a_checkpoint_holds_the_average_and_beside_it_the_last_step(tmp_path, decay, from_epoch, expected):
    module = Small()
    trainer = Trainer(
        max_epochs=3,
        callbacks=[AverageWeights(decay, from_epoch), ModelCheckpoint(tmp_path, save_last=True)],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(torch.randn(4, 3, generator=torch.Generator().manual_seed(0))))
    assert len(module.steps) == 12
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    torch.testing.assert_close(last["state_dict"]["layer.weight"], expected(module.steps))
    assert torch.equal(last["current_model_state"]["layer.weight"], module.steps[-1])
    assert torch.equal(module.layer.weight, last["state_dict"]["layer.weight"])  # what a test would look at
    assert not torch.allclose(module.layer.weight, module.steps[-1], atol=1e-4)


FINETUNE = [
    "phase.head.average={decay: 0.7}",
    "phase.finetune.average={decay: 0.9}",
    "phase.finetune.max_epochs=3",
    "phase.finetune.lr=1e-3",
    "phase.finetune.batch_norm=trainable",  # its statistics are averaged too
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, cells = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("cells")
    places = [f"data.root={cells}", f"data.checks_dir={cells}", "+trainer.enable_progress_bar=false"]
    config = composed(*SMALL, *FINETUNE, *places)
    return folder, config, train(config, folder)


def test_the_average_is_what_is_evaluated_and_saved(run):
    folder, _, metrics = run
    best = torch.load(folder / "checkpoints/finetune/best.ckpt", weights_only=True)
    saved = load_network(folder / "model.ckpt").state_dict()
    assert all(torch.equal(best["state_dict"][f"network.{key}"], value) for key, value in saved.items())
    assert not torch.equal(best["state_dict"][KERNEL], best["current_model_state"][KERNEL])
    record = metrics["phases"]["finetune"]
    history = pd.read_csv(folder / "logs/finetune/history.csv")
    row = history.loc[history["val_loss"].idxmin()]
    assert record["best_epoch"] == row["epoch"] + 1
    # Validation looked at the same weights as the test after it.
    assert record["sets"]["val"]["accuracy"] == pytest.approx(row["val_accuracy"], abs=1e-5)


def test_what_is_frozen_is_bit_identical_and_what_trains_is_averaged(run):
    folder = run[0]
    head = torch.load(folder / "checkpoints/head/last.ckpt", weights_only=True)
    tuned = torch.load(folder / "checkpoints/finetune/last.ckpt", weights_only=True)
    backbone = [key for key in head["state_dict"] if ".backbone." in key]
    assert all(torch.equal(head["state_dict"][key], head["current_model_state"][key]) for key in backbone)
    frozen = [key for key in backbone if "blocks.0." in key]
    assert any("running_var" in key for key in frozen)
    assert all(torch.equal(head["state_dict"][key], tuned["state_dict"][key]) for key in frozen)
    statistics = "network.backbone.net.bn2.running_mean"
    assert not torch.equal(tuned["state_dict"][statistics], tuned["current_model_state"][statistics])


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(run, tmp_path, monkeypatch):
    folder, config, metrics = run
    step = Classifier.training_step

    def killed(self, batch, batch_idx):
        if self.current_epoch == 2 and batch_idx == 1:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", killed)
        # The head phase has one epoch, so this is amid the last of the second phase.
        with pytest.raises(RuntimeError, match="killed"):
            train(config, tmp_path)
    resumed = train(config, tmp_path)
    for record in (*resumed["phases"].values(), *metrics["phases"].values()):
        del record["seconds"], record["cache_seconds"]
    assert json.dumps(resumed) == json.dumps(metrics)
    for part in ("state_dict", "current_model_state"):
        states = [
            torch.load(place / "checkpoints/finetune/last.ckpt", weights_only=True)[part]
            for place in (folder, tmp_path)
        ]
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
