import logging
import os
import re
import sys

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from tests.helpers.commands import typed
from tests.helpers.small_runs import SMALL
from wbc.training.history import History
from wbc.training.progress_bar import PhaseProgress
from wbc.utils import progress


class Line(LightningModule):
    def __init__(self, fails_in=None):
        super().__init__()
        self.weight = torch.nn.Linear(1, 1)
        self.fails_in = fails_in

    def training_step(self, batch, batch_idx):
        if self.current_epoch == self.fails_in:
            raise ValueError("as asked")
        return self.weight(batch[0]).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("val_macro_f1", 0.25)

    def test_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.fixture
def loader():
    return DataLoader(TensorDataset(torch.ones(6, 1)), batch_size=2)


def trained(tmp_path, loader, model, *callbacks, **options):
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
        callbacks=list(callbacks),
        **options,
    )
    trainer.fit(model, loader, loader)
    trainer.test(model, loader, verbose=False)


def screen_of(monkeypatch):
    """What a terminal would be sent, every state of the bar drawn."""
    written = []
    monkeypatch.setattr(progress, "_REDRAW_EVERY_S", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "write", written.append)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return written


@pytest.mark.filterwarnings("ignore")
def test_one_bar_tells_epoch_metric_and_time_left(tmp_path, loader, monkeypatch):
    screen = screen_of(monkeypatch)
    trained(tmp_path, loader, Line(), PhaseProgress("head"))
    text = "".join(screen)
    assert re.search(r"head epoch 1 of 3: +11 % \|.*\| 1 of 9 batches, .*/s, at most 1 s left", text)
    assert re.search(r"head epoch 3 of 3: +77 % \|.*7 of 9 batches, .*, val_macro_f1 0\.250", text)
    assert "head, measuring the best epoch: 100 %" in text
    assert "Epoch 0" not in text
    assert "\n" not in text  # never more than one bar


@pytest.mark.filterwarnings("ignore")
def test_a_failure_takes_the_bar_away(tmp_path, loader, monkeypatch):
    screen = screen_of(monkeypatch)
    with pytest.raises(ValueError, match="as asked"):
        trained(tmp_path, loader, Line(fails_in=1), PhaseProgress("head"))
    assert "".join(screen).endswith("\r")


@pytest.mark.filterwarnings("ignore")
def test_without_a_terminal_the_line_of_each_epoch_is_all(tmp_path, loader, capfd, caplog):
    caplog.set_level(logging.INFO, "wbc")
    trained(tmp_path, loader, Line(), PhaseProgress("head"), History("head", tmp_path / "history.csv"))
    assert capfd.readouterr() == ("", "")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("wbc")]
    assert len(lines) == 3
    assert re.fullmatch(
        r"head epoch 1 of 3: val_macro_f1 0\.2500; [\d.]+ m?s, at most \d s left in this phase", lines[0]
    )
    assert re.fullmatch(r"head epoch 3 of 3: val_macro_f1 0\.2500; [\d.]+ m?s", lines[2])


def test_a_run_into_a_pipe_writes_few_lines_and_its_log_keeps_the_rest(tmp_path, monkeypatch):
    """On a cluster's machine too, where Lightning would have the command begin with srun."""
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text("#!/bin/sh\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", str(srun.parent), prepend=os.pathsep)
    places = [f"data.root={tmp_path}/cells", f"data.checks_dir={tmp_path}", f"hydra.run.dir={tmp_path}/run"]
    done = typed("train.py", *SMALL, "phase=head", *places, cwd=tmp_path)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "\r" not in output
    assert "srun" not in output
    above = output.split("results\n")[0].splitlines()
    assert len(above) < 25, output
    unwanted = r"\d{2}:\d{2}:\d{2}|\[INFO\]|wbc\.\w+\.|\binf\b|\bnan\b|Lightning|Tip"
    assert not re.search(unwanted, output), output
    assert "head epoch 1 of 1:" in output
    assert "warning: the model answers nothing, every image will be 'uncertain': " in output
    log = (tmp_path / "run" / "train.log").read_text()
    assert re.search(r"^\[[\d :,-]+\]\[wbc\.training\.history\]\[INFO\] - head epoch 1 of 1:", log, re.M)
