"""The wheel, installed where there is no checkout, trains and predicts by the command `wbc`."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.places import BUILT_FROM, ROOT
from tests.helpers.small_runs import SMALL

TIMEOUT_S = 240


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy: a build leaves its files in the checkout, and would find those of builds before."""
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    options = [
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--quiet",
        "--wheel-dir",
        str(source / "dist"),
    ]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True, timeout=TIMEOUT_S
    )
    return next((source / "dist").glob("wbc-*.whl"))


@pytest.fixture(scope="module")
def bin_folder(wheel, tmp_path_factory) -> Path:
    """Of an environment with the wheel, and of its dependencies those that this one has.

    A path in a .pth file does not run the .pth files that lie there, so an editable wbc stays out of sight.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / Path(sys.executable).name
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    options = ["--no-deps", "--no-index", "--quiet", "--force-reinstall", "--ignore-installed"]
    subprocess.run([str(python), "-m", "pip", "install", *options, str(wheel)], check=True, timeout=TIMEOUT_S)
    return python.parent


def run(bin_folder: Path, folder: Path, *words: str) -> str:
    """What the command prints, started in `folder`, without what would lead to the checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [str(bin_folder / words[0]), *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def test_a_tiny_run_is_trained_and_asked_from_an_empty_folder(bin_folder, tmp_path):
    place = "import wbc, sys; print(wbc.__file__)"
    assert str(bin_folder.parent) in run(bin_folder, tmp_path, "python", "-c", place)
    run(
        bin_folder,
        tmp_path,
        "wbc",
        "train",
        *SMALL,
        "phase=head",
        "data.root=cells",
        "data.checks_dir=checks",
    )
    model = next(tmp_path.glob("outputs/synthetic_efficientnet_lite0/*/model.ckpt"))
    asked = [f"checkpoint={model}", "images=cells", "output=answers", "accelerator=cpu", "workers=0"]
    run(bin_folder, tmp_path, "wbc", "predict", *asked)
    answers = pd.read_csv(tmp_path / "answers" / "predictions.csv")
    assert len(answers) == len(list((tmp_path / "cells").rglob("*.png")))


def test_help_is_of_the_installed_conf(bin_folder, tmp_path):
    assert "wbc predict" in run(bin_folder, tmp_path, "wbc")
    assert "checkpoint=" in run(bin_folder, tmp_path, "wbc", "explain", "--help")


def test_every_preset_and_template_travels(wheel):
    travelling = set(zipfile.ZipFile(wheel).namelist())
    presets = {f"wbc/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    folders = [
        ROOT / "wbc" / name
        for name in ("pages/templates", "reviewing/static", "serving/static", "serving/templates")
    ]
    templates = {str(path.relative_to(ROOT)) for folder in folders for path in folder.iterdir()}
    assert presets
    assert templates
    assert (
        presets | templates | {"wbc/py.typed", "hydra_plugins/wbc_optuna.py", "hydra_plugins/wbc_ray.py"}
        <= travelling
    )
