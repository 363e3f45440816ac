"""The command line as users call it, in processes of their own."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.helpers.commands import Started, typed
from tests.helpers.places import ROOT
from tests.helpers.small_runs import SMALL
from wbc.answers.checkpoint import load_network


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> list[str]:
    root = tmp_path_factory.mktemp("cells")
    return [f"data.root={root}", f"data.checks_dir={root}"]


def run(*overrides: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return typed("train.py", *overrides, cwd=cwd)


def comparable(folder: Path) -> dict:
    metrics = json.loads((folder / "metrics.json").read_text())
    for record in metrics["phases"].values():
        del record["seconds"], record["cache_seconds"]
    return metrics


LONG = [*SMALL, "phase.head.max_epochs=2", "phase.finetune.max_epochs=4", "phase.finetune.lr=1e-3"]


@pytest.fixture(scope="module")
def whole(cells, tmp_path_factory) -> Path:
    """The run folder of a training that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(*LONG, *cells, f"hydra.run.dir={folder}").returncode == 0
    return folder


@pytest.mark.slow  # tests/campaign/test_kills.py kills at random moments
@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)],
)
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(cells, whole, tmp_path, sent, code):
    killed = tmp_path / "killed"
    started = Started("train.py", *LONG, *cells, f"hydra.run.dir={killed}")
    history = killed / "logs" / "finetune" / "history.csv"
    started.wait_until(
        lambda: history.exists() and len(pd.read_csv(history)) >= 2
    )  # the third of four epochs
    started.send(sent)
    assert started.ended().returncode == code
    assert not (killed / "metrics.json").exists()
    resumed = run(f"resume_from={killed}")
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from" in resumed.stdout
    assert comparable(killed) == comparable(whole)
    columns = ["phase", "epoch", "lr", "train_loss", "val_loss", "val_macro_f1", "is_best"]
    for phase in ("head", "finetune"):
        rows = [pd.read_csv(folder / "logs" / phase / "history.csv")[columns] for folder in (whole, killed)]
        pd.testing.assert_frame_equal(*rows)
    predictions = [(folder / "predictions.csv").read_text() for folder in (whole, killed)]
    assert predictions[0] == predictions[1]
    # A finished run is not repeated, and other settings are not slipped under it.
    again = run(f"resume_from={killed}")
    assert again.returncode == 0
    assert "finished before" in again.stdout
    other = run(f"resume_from={killed}", "phase.finetune.lr=1")
    assert other.returncode == 1
    assert "leave out phase.finetune.lr=1" in other.stdout + other.stderr


def test_a_sweep_makes_a_folder_a_job_and_a_table(cells, tmp_path):
    result = run("-m", *SMALL, *cells, "phase.finetune.lr=1e-5,3e-5", cwd=tmp_path)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    [tmp_path] = tmp_path.glob("outputs/synthetic_efficientnet_lite0/*")
    jobs = json.loads((tmp_path / "sweep.json").read_text())
    assert len(jobs) == 2
    for job in jobs:
        metrics = json.loads((tmp_path / str(job["job"]) / "metrics.json").read_text())
        assert job["val_macro_f1"] == metrics["phases"]["finetune"]["sets"]["val"]["macro_f1"]
        assert job["figures"]["macro_f1"] == pytest.approx(job["val_macro_f1"], abs=1e-6)
        low, high = job["figures"]["macro_f1_interval"].values()
        assert low <= job["figures"]["macro_f1"] <= high
        assert job["figures"]["parameters"] > job["figures"]["trainable_parameters"] > 0
    table = (tmp_path / "sweep.md").read_text()
    assert "phase.finetune.lr=3e-05" in table
    assert table.splitlines()[2] in result.stdout
    assert "trainer.precision" not in table  # the same in both
    assert not re.search(r"test", table.partition("Test sets have no column")[0])
    assert "<img" in (tmp_path / "sweep.html").read_text()


@pytest.mark.slow
def test_a_failing_job_leaves_the_others_and_the_table(cells, tmp_path):
    result = run(
        "-m",
        *SMALL,
        *cells,
        "phase=head",
        "phase.head.lr=1e-4,0",
        f"hydra.sweep.dir={tmp_path}",
    )
    assert result.returncode == 1
    jobs = json.loads((tmp_path / "sweep.json").read_text())
    assert [job["val_macro_f1"] is None for job in jobs] == [False, True]
    assert "failed" in (tmp_path / "sweep.md").read_text()


TWO_PROCESSES = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]


@pytest.mark.parametrize(
    ("sent", "processes", "code"),
    [
        (signal.SIGINT, [], 130),
        (signal.SIGTERM, [], 143),
        pytest.param(signal.SIGTERM, TWO_PROCESSES, 143, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_training_says_how_to_go_on(cells, tmp_path, sent, processes, code):
    """SIGTERM ended it without a word; of several processes all were to wait for each other."""
    endless = ["phase=head", "phase.head.max_epochs=500", "phase.head.patience=500"]
    started = Started("train.py", *SMALL, *cells, *endless, *processes, f"hydra.run.dir={tmp_path / 'run'}")
    last = tmp_path / "run" / "checkpoints" / "head" / "last.ckpt"
    started.wait_until(last.exists)
    started.send(sent)
    ended = started.ended(60)
    assert ended.returncode == code
    said = f"error: stopped; continue with: python train.py resume_from={tmp_path / 'run'}"
    assert ended.stdout.splitlines()[-1] == said
    assert list((tmp_path / "run").rglob(".*")) == []
    load_network(last)


@pytest.mark.slow  # tests/campaign/test_disks.py has every verb
def test_a_training_that_finds_the_disk_full_says_which_file_and_goes_on_with_room(cells, whole, tmp_path):
    """It ended in a traceback of torch's C++.  Files of 4 MiB at most stand for the full disk."""
    folder = tmp_path / "run"
    started = Started("train.py", *LONG, *cells, f"hydra.run.dir={folder}")
    started.allow_files_of(4 * 2**20)
    ended = started.ended()
    assert ended.returncode == 1
    said = (
        rf"error: {folder}/checkpoints/head/best\.ckpt could not be written: File too large; free "
        rf"some space, then continue with: python train\.py resume_from={folder}"
    )
    assert re.fullmatch(said, ended.stdout.splitlines()[-1])
    assert "Traceback" not in ended.stdout + ended.stderr
    assert run(f"resume_from={folder}").returncode == 0
    assert comparable(folder) == comparable(whole)


def test_a_sweep_over_folders_that_are_missing_has_a_line_for_each_job(tmp_path):
    """It ended in a traceback of Hydra's."""
    folder = [*SMALL[2:], "data=folder", f"data.root={tmp_path / 'no'},{tmp_path / 'none'}"]
    result = run("-m", *folder, f"hydra.sweep.dir={tmp_path / 'failed'}")
    assert result.returncode == 1
    errors = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    assert [name in line for name, line in zip(("/no", "/none"), errors, strict=True)] == [True, True]
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("program", "words", "key"),
    [
        ("train.py", ["data=folder", "data.root=b"], "hydra.run.dir"),
        ("train.py", ["-m", "data=folder", "data.root=b"], "hydra.sweep.dir"),
        ("predict.py", ["checkpoint=a", "images=b"], "output"),
        ("evaluate.py", ["checkpoint=a", "data=[b]"], "hydra.run.dir"),
        ("explain.py", ["checkpoint=a", "images=b"], "hydra.run.dir"),
        ("adapt.py", ["checkpoint=a", "data=b"], "hydra.run.dir"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named_with_the_key_that_moves_it(tmp_path, program, words, key):
    """Hydra answered with a traceback.  Root may write anywhere, but not below a file."""
    (tmp_path / "file").touch()
    result = typed(program, *words, f"{key}={tmp_path / 'file' / 'run'}")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert f"error: {tmp_path / 'file' / 'run'}: Not a directory" in result.stderr
    assert f"give another {key}=<folder>" in result.stderr
    assert typed(program, *words, f"{key}={tmp_path / 'run'}").stderr.count("Not a directory") == 0


@pytest.mark.slow
def test_two_processes_give_one_run(cells, tmp_path):
    result = run(
        *SMALL,
        *cells,
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        f"hydra.run.dir={tmp_path / 'run'}",
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["phases"]["finetune"]["devices"] == 2
    states = [
        torch.load(tmp_path / "run" / "checkpoints" / phase / "last.ckpt", weights_only=True)["state_dict"]
        for phase in ("head", "finetune")
    ]
    frozen = [key for key in states[0] if key.startswith("network.backbone.net.blocks.0")]
    assert any("running_mean" in key for key in frozen)
    assert all(torch.equal(states[0][key], states[1][key]) for key in frozen)
    # Its last phase once more, from its checkpoint, as after a kill; `wbc` has a second process too.
    (tmp_path / "run" / "logs" / "finetune" / "result.json").unlink()
    (tmp_path / "run" / "metrics.json").unlink()
    resumed = wbc("train", f"resume_from={tmp_path / 'run'}")
    assert resumed.returncode == 0, resumed.stdout[-3000:] + resumed.stderr[-3000:]
    again = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert again["phases"]["finetune"]["sets"] == metrics["phases"]["finetune"]["sets"]
    manifest = pd.read_csv(tmp_path / "run" / "manifest.csv")
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    evaluated = manifest[manifest["split"] != "train"]
    assert sorted(predictions["path"]) == sorted(evaluated["path"])
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["data.root={tmp}/nowhere"], ["nowhere", "data=synthetic", "Raabin-WBC"]),
        (["data=folder", "data.root={tmp}"], ["used", "data.aliases"]),
        (["data=folder", "data.root={tmp}/empty"], ["no images", "data=synthetic"]),
        (["data=folder"], ["data.root"]),
        (["data=synthetic", "phase.finetune.learningrate=1"], ["learningrate"]),
        (["data=synthetic", "+data.imags=1"], ["imags"]),
        (["epochs=3"], ["phase.head.max_epochs=3", "phase.finetune.max_epochs=3"]),
        (["data=manifest", "data.root={tmp}/no=table.csv"], ["quote the value", '"{tmp}/no=table.csv"']),
        (
            ["data=synthetic", "trainer=ddp", "trainer.devices=1", "trainer.num_nodes=2"],
            ["one process", "srun"],
        ),
        (["resume_from={tmp}"], ["config.yaml", "interrupted run"]),
        (["resume_from={tmp}", "init_from=x"], ["init_from"]),
        (["hydra.run.dir={tmp}/used"], ["holds a run already", "resume_from"]),
    ],
)
def test_what_cannot_be_done_is_said_and_exits_1(tmp_path, overrides, named):
    (tmp_path / "empty").mkdir()
    (tmp_path / "used").mkdir()
    for name in ("config.yaml", "manifest.csv"):
        (tmp_path / "used" / name).write_text("")
    result = run(*(part.format(tmp=tmp_path) for part in overrides), cwd=tmp_path)
    assert result.returncode == 1
    output = result.stdout + result.stderr
    for text in named:
        assert text.format(tmp=tmp_path) in output
    assert "Traceback" not in output


def test_other_folders_work_too(tmp_path):
    """conf/ is found from anywhere, and outputs/ lies where the command is run."""
    result = run("data=synthetic", "--cfg", "job", cwd=tmp_path)
    assert result.returncode == 0
    assert "images_per_class" in result.stdout
    assert os.listdir(tmp_path) == []


def wbc(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return typed("wbc", *words, cwd=cwd)


def test_the_command_is_the_script_by_another_name(tmp_path):
    help_of_script = run("--help")
    assert help_of_script.returncode == 0
    assert "python train.py phase=finetune" in help_of_script.stdout
    help_of_command = wbc("train", "--help", cwd=tmp_path)
    assert help_of_command.stdout == help_of_script.stdout.replace("python train.py", "wbc train")
    no_data = wbc("train", cwd=tmp_path)
    assert no_data.returncode == 1
    assert "To try without any download: data=synthetic" in no_data.stdout
    assert "Traceback" not in no_data.stdout + no_data.stderr
    assert "See https://hydra.cc" in wbc("train", "--hydra-help", cwd=tmp_path).stdout


def test_a_verb_that_does_not_exist_is_answered_with_those_that_do():
    misspelt = wbc("pretict")
    assert misspelt.returncode == 1
    assert "is wbc predict meant?" in misspelt.stderr
    assert wbc().stdout == wbc("--help").stdout
    assert "wbc adapt" in wbc().stdout
