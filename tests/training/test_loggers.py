"""`logger=`: each by name and several at once, from the command to what each holds at the end."""

import csv
import importlib.util
import json
import os
import socket
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.helpers.commands import typed
from tests.helpers.small_runs import SMALL, settings
from wbc.errors import ConfigError
from wbc.settings.train import Config
from wbc.settings.typed_words import check_words
from wbc.training.job import train
from wbc.training.loggers import Loggers

EPOCH = {"val_loss", "val_accuracy", "val_macro_f1", "train_loss"}


def needs(*modules):
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


@pytest.fixture(scope="module")
def run_of_two(tmp_path_factory):
    """A run with a report, shown by TensorBoard and as CSV."""
    folder = tmp_path_factory.mktemp("two")
    words = [*(one for one in SMALL if one != "report=false"), f"data.root={folder / 'cells'}"]
    done = typed(
        "wbc",
        "train",
        *words,
        "phase=head",
        "logger=[tensorboard,csv]",
        f"hydra.run.dir={folder / 'run'}",
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run"


def test_tensorboard_has_curves_figures_tables_and_the_models_place(run_of_two):
    logs = EventAccumulator(str(run_of_two / "logs" / "head")).Reload()
    assert set(logs.Tags()["scalars"]) >= EPOCH
    results = EventAccumulator(str(run_of_two / "logs" / "results")).Reload().Tags()
    assert "figures/training_curves" in results["images"]
    assert len(results["images"]) == len(list((run_of_two / "figures").glob("*.png")))
    assert {"tables/text_summary", "model/text_summary"} <= set(results["tensors"])


def test_csv_has_the_curves_of_history(run_of_two):
    metrics = list(csv.DictReader((run_of_two / "logs/head/csv/version_0/metrics.csv").open()))
    history = list(csv.DictReader((run_of_two / "logs/head/history.csv").open()))
    of_epochs = [row["val_loss"] for row in metrics if row["val_loss"]]
    np.testing.assert_allclose([*map(float, of_epochs)], [float(row["val_loss"]) for row in history])
    (final,) = csv.DictReader((run_of_two / "logs/results/csv/version_0/metrics.csv").open())
    told = json.loads((run_of_two / "metrics.json").read_text())
    kept = told["phases"][told["kept"]["phase"]]["sets"]
    assert float(final["test_accuracy"]) == kept["test"]["accuracy"]


def test_without_a_logger_the_history_is_there_and_nothing_else(tmp_path):
    config = settings(tmp_path / "cells", "logger=none", "phase=head", "phase.head.max_epochs=1")
    assert config.logger == {}
    train(config, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run" / "logs" / "head").iterdir()) == [
        "history.csv",
        "result.json",
    ]


@needs("wandb", "mlflow", "sqlalchemy")
@pytest.mark.slow  # MLflow alone takes half a minute to make its tables
def test_wandb_and_mlflow_have_one_run_with_everything(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    words = [*(one for one in SMALL if one != "report=false"), f"data.root={tmp_path / 'cells'}"]
    done = typed("wbc", "train", *words, "logger=[wandb,mlflow]", "hydra.run.dir=runs/first", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "runs" / "first"
    (store,) = (run / "logs" / "wandb").glob("offline-run-*")
    assert f"wandb sync {store}" in done.stdout + done.stderr
    told = _wandb_records(next(store.glob("*.wandb")))
    assert {f"{phase}-{key}" for phase in ("head", "finetune") for key in EPOCH} <= told["history"]
    assert {"figures/training_curves/path", "predictions/path"} <= told["history"]
    assert "test_macro_f1" in told["summary"]
    assert "model.ckpt" in told["artifact files"]

    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow' / 'mlflow.db'}")
    (found,) = client.search_runs([client.get_experiment_by_name("wbc").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "runs/first"
    assert found.data.params["model/backbone"] == "tf_efficientnet_lite0.in1k"
    assert {f"{phase}-{key}" for phase in ("head", "finetune") for key in EPOCH} <= set(found.data.metrics)
    told = json.loads((run / "metrics.json").read_text())
    kept = told["phases"][told["kept"]["phase"]]["sets"]
    assert found.data.metrics["results-test_macro_f1"] == kept["test"]["macro_f1"]
    kinds = {item.path for item in client.list_artifacts(found.info.run_id)}
    assert kinds == {"figures", "tables", "model", "report.html"}
    model = client.download_artifacts(found.info.run_id, "model/model.ckpt", str(tmp_path))
    assert (run / "model.ckpt").read_bytes() == Path(model).read_bytes()
    # A run that goes on is the same one there.
    again = typed("wbc", "train", f"resume_from={run}", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(client.search_runs([found.info.experiment_id])) == 1
    # One that fails says so there.
    config = settings(tmp_path, "logger=mlflow", f"logger.mlflow.tracking_uri=sqlite:///{tmp_path}/other.db")
    loggers = Loggers(config, tmp_path / "failed")
    loggers.of_phase("head", {})
    loggers.__exit__(KeyError, KeyError(), None)
    other = MlflowClient(f"sqlite:///{tmp_path}/other.db")
    (failed,) = other.search_runs([other.get_experiment_by_name("wbc").experiment_id])
    assert failed.info.status == "FAILED"


def _wandb_records(file):
    """What an offline run holds: names in history and summary, files of artifacts."""
    from wandb.proto import wandb_internal_pb2

    found = {"history": set(), "summary": set(), "artifact files": set()}
    for data in _leveldb_records(file.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        found["history"] |= {item.key or "/".join(item.nested_key) for item in record.history.item}
        found["summary"] |= {item.key or "/".join(item.nested_key) for item in record.summary.update}
        for artifact in (record.artifact, record.request.log_artifact.artifact):
            found["artifact files"] |= {entry.path for entry in artifact.manifest.contents}
    return found


def _leveldb_records(content):
    """The records of a LevelDB log in blocks of 32 KiB; each part has checksum, length and kind before it."""
    place, parts = 7, []  # behind the file's own header
    while place + 7 <= len(content):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        parts.append(content[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


@needs("wandb")
def test_wandb_without_an_account_says_how_to_stay_here(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    config = settings(tmp_path, "logger=wandb", "logger.wandb.mode=online")
    with pytest.raises(ConfigError, match=r"logger=wandb: .*logger\.wandb\.mode=offline"):
        Loggers(config, tmp_path / "run").of_phase("head", {})


@needs("mlflow", "sqlalchemy")
def test_mlflow_with_a_store_that_cannot_be_says_so(tmp_path):
    config = settings(tmp_path, "logger=mlflow", "logger.mlflow.tracking_uri=mysqlite:///x")
    with pytest.raises(ConfigError, match=r"logger=mlflow: .*check logger\.mlflow\.tracking_uri"):
        Loggers(config, tmp_path / "run").of_phase("head", {})


def test_an_mlflow_server_that_does_not_answer_is_named_at_once(tmp_path, monkeypatch):
    """MLflow tried for minutes."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for place in (f"127.0.0.1:{port}", "user:secret@127.0.0.1:99999", "127.0.0.1:abc"):
        word = f"logger.mlflow.tracking_uri='http://{place}'"
        with pytest.raises(ConfigError, match=r"server does not answer .*check logger\.mlflow") as said:
            Loggers(settings(tmp_path, "logger=mlflow", word), tmp_path / "run")
        assert "secret" not in str(said.value)
    word = f"logger.mlflow.tracking_uri=http://127.0.0.1:{port}"
    with socket.create_server(("127.0.0.1", port)):
        Loggers(settings(tmp_path, "logger=mlflow", word), tmp_path / "run")


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_named_before_anything_is_trained(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf'logger={name} needs {name}.*: pip install "wbc\[{name}\]"'):
        train(settings(tmp_path / "cells", f"logger={name}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_store_is_the_same_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    config = settings(tmp_path, "logger=mlflow").with_absolute_paths()
    assert config.logger["mlflow"]["tracking_uri"] == f"sqlite:///{tmp_path}/outputs/mlflow/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    config = settings(tmp_path, "logger=mlflow").with_absolute_paths()
    assert config.logger["mlflow"]["tracking_uri"] == "http://server:5000"


def test_the_one_logger_of_a_run_from_before_is_known(tmp_path):
    config = settings(tmp_path)
    config.logger = {"_target_": "pytorch_lightning.loggers.CSVLogger"}
    (logger,) = Loggers(config, tmp_path / "run").of_phase("head", {})
    assert os.path.relpath(logger.log_dir, tmp_path) == "run/logs/head/csv/version_0"


def test_a_logger_of_ones_own_stands_beside_the_others(tmp_path):
    config = settings(
        tmp_path, "logger=csv", "+logger.mine._target_=pytorch_lightning.loggers.TensorBoardLogger"
    )
    assert len(Loggers(config, tmp_path / "run").of_phase("head", {})) == 2
    config.logger = {"mine": 5}
    with pytest.raises(ConfigError, match=r"logger\.mine=5: expected a logger with its _target_"):
        Loggers(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "logger=wanddb",
            "logger=wanddb is none of csv, mlflow, none, tensorboard, wandb; is logger=wandb meant?",
        ),
        ("logger=[csv,wanddb]", "is logger=wandb meant?"),
        ("logger=null", "give logger=none"),
        ("logger=[none,csv]", "give logger=none, or 'logger=[csv]'"),
        ("logger=[csv,tensorboard,csv]", "names one twice; give 'logger=[csv,tensorboard]'"),
        ("logger=csv,tensorboard", "in brackets and quotes|logger=[csv,tensorboard]"),
        ("data=[raabin,folder]", "give -m data=raabin,folder"),
        ("logger.wandb.mode=online", ""),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(word, said):
    if not said:
        check_words([word], "train", Config)
        return
    with pytest.raises(ConfigError) as error:
        check_words([word], "train", Config)
    for part in said.split("|"):
        assert part in str(error.value)
