"""config.yaml of somebody else's run folder is data."""

import os
from pathlib import Path

import pytest
import yaml

from tests.helpers.commands import typed
from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from wbc.errors import CheckpointError
from wbc.settings.run_folder import saved_config, start
from wbc.settings.saved_config import read_config
from wbc.settings.train import Config


@pytest.fixture
def folder(tmp_path):
    """A run folder as `train` opens it."""
    start(composed(*SMALL, f"data.root={tmp_path}"), tmp_path / "run")
    return tmp_path / "run"


def changed(folder, change):
    values = yaml.safe_load((folder / "config.yaml").read_text())
    change(values)
    (folder / "config.yaml").write_text(yaml.safe_dump(values))


def code(folder):
    return {"_target_": "os.mkdir", "path": str(folder / "ran")}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda values: values["logger"].update(_target_="os.system"), r"logger\._target_: 'os.system'"),
        (
            lambda values: values["trainer"].update(profiler=code(Path("x"))),
            r"trainer\.profiler\._target_",
        ),
        (
            lambda values: values["augment"]["transforms"].append(code(Path("x"))),
            r"augment\.transforms\[\d\]",
        ),
        (
            lambda values: values["augment"]["transforms"].append({"_target_": "albumentations.load"}),
            r"albumentations\.load",
        ),
        (lambda values: values["logger"].update(name="${oc.env:SECRET}"), r"logger\.name"),
    ],
)
def test_code_of_its_maker_is_not_run_unless_trusted(folder, change, named):
    changed(folder, change)
    with pytest.raises(CheckpointError, match=rf"would run code of its maker's: .*{named}.*trust=true"):
        saved_config(folder, Config)
    saved_config(folder, Config, trusted=True)


def test_the_command_refuses_it_and_runs_it_only_by_trust(folder):
    changed(folder, lambda values: values["trainer"].update(profiler=code(folder)))
    refused = typed("train.py", f"resume_from={folder}")
    assert refused.returncode == 1
    assert "add trust=true" in refused.stdout + refused.stderr
    assert not (folder / "ran").exists()
    typed("train.py", f"resume_from={folder}", "trust=true")
    assert (folder / "ran").exists()


def test_nothing_of_this_machine_is_read_into_it(folder, monkeypatch):
    """${oc.env:SECRET} came out in model.ckpt, metrics.json and report.html."""
    monkeypatch.setitem(os.environ, "SECRET", "hunter2")
    changed(folder, lambda values: values.update(name="${oc.env:SECRET}", cache_dir="/a/${x}/b"))
    config = saved_config(folder, Config)
    assert config.name == "${oc.env:SECRET}"
    assert config.cache_dir == "/a/${x}/b"


@pytest.mark.parametrize(
    "content",
    [
        b"a: [",
        b"\x80\x00\xff",
        b"!!python/object/apply:os.system [ls]",
        b"- 1",
        b"",
        b"a: &a [1]\nb: [*a, *a]",
    ],
)
def test_a_damaged_one_is_named(folder, content):
    (folder / "config.yaml").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.yaml.*start a new run"):
        read_config(folder / "config.yaml")
