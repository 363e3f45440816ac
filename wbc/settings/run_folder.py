"""The folder of one run: opened anew or to go on, with what made the run written into it first."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from wbc.errors import CheckpointError, ConfigError
from wbc.settings.layout import CONFIG, MANIFEST, VERSIONS
from wbc.settings.parse import Settings, as_plain, validated
from wbc.settings.saved_config import read_config, write_config
from wbc.utils.files import write_json

_PACKAGES = (
    "wbc",
    "torch",
    "torchvision",
    "timm",
    "pytorch-lightning",
    "torchmetrics",
    "albumentations",
    "grad-cam",
    "captum",
    "scikit-image",
    "scipy",
    "hydra-core",
    "numpy",
    "pillow",
    "opencv-python-headless",
)


def is_first_rank() -> bool:
    """Whether this process, of all that train together, is the one that writes."""
    return _rank() == 0


def _rank() -> int:
    from pytorch_lightning.utilities import rank_zero_only  # seconds to import: a wrong key should not wait

    return getattr(rank_zero_only, "rank")  # noqa: B009  # set by Lightning from the launcher's variables


def processes_started_outside() -> int:
    """By torchrun or SLURM; Lightning's own launcher has the run folder from its parent process."""
    return max(int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "SLURM_NTASKS"))


def check_started(devices: int, nodes: int, prefix: str = "", with_: str = "") -> None:
    """ConfigError where torchrun or SLURM started other processes than are asked for: each would work alone.

    And where nobody started those of several machines: the first would wait for the others.
    prefix: of the keys `devices` and `num_nodes`; with_: what is to be given beside them.
    """
    started = processes_started_outside()
    asked = f"{prefix}devices={devices} and {prefix}num_nodes={nodes}"
    by_hand = "NODE_RANK" in os.environ  # as Lightning knows a node without a launcher
    if started == 1 and nodes > 1 and not by_hand:
        raise ConfigError(
            f"{asked}, but one process was started: start this command by srun or torchrun on each machine, "
            f"as docs/guides/clusters.md shows, or give {prefix}num_nodes=1"
        )
    if started not in (1, devices * nodes):
        raise ConfigError(
            f"{started} processes were started from outside, but {asked}: give {with_}those that make "
            f"{started} together"
        )


def start(config: Any, folder: Path, first_result: str = MANIFEST) -> None:
    """Write config, versions and seed into `folder`; ConfigError where another run lies there.

    `config` is a command's dataclass, with a `seed` if anything in it is random; `first_result` is the
    file that tells of a run.
    """
    if not is_first_rank():
        return
    if (folder / first_result).exists():  # without one, nothing but its settings was accepted yet
        go_on = f"continue it with resume_from={folder}, or " if hasattr(config, "resume_from") else ""
        raise ConfigError(f"{folder} holds a run already: {go_on}choose another folder (hydra.run.dir)")
    write_json(folder / VERSIONS, versions() | {"seed": getattr(config, "seed", None)})
    write_config(folder / CONFIG, as_plain(config))


def saved_config(folder: Path, kind: type[Settings], trusted: bool = False) -> Settings:
    """The settings of the run in `folder`, to continue it; CheckpointError where there is no run.

    trusted: see `wbc.settings.saved_config.read_config`.
    """
    if not (folder / CONFIG).is_file():
        raise CheckpointError(
            f"resume_from={folder}: no {CONFIG} there; expected the folder of an interrupted run"
        )
    values = read_config(folder / CONFIG, trusted)
    try:
        return validated(kind, values)
    except ConfigError as error:  # of another version
        raise CheckpointError(f"{folder / CONFIG}: {error}\nstart a new run, without resume_from") from error


def wait_for(path: Path, minutes: float = 60) -> None:
    """Block until rank 0 has written `path`; checking a large data set takes it a while."""
    deadline = time.monotonic() + 60 * minutes
    while not path.exists():
        if time.monotonic() > deadline:
            raise ConfigError(
                f"rank {_rank()} waited {minutes:g} min for {path}: do all ranks share one run folder? "
                "Give hydra.run.dir"
            )
        time.sleep(0.2)


def versions() -> dict[str, Any]:
    """Releases of Python and of the packages that decide results, and the commit of this code if in git."""
    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": found,
        "git": _git_state(),
    }


def _git_state() -> dict[str, Any] | None:
    """Commit and whether tracked files differ from it; None outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True
            ).stdout
            for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.strip(), "changed": bool(changes.strip())}
