"""What each job of a sweep leaves for the tables of all, in its own folder.

Launchers run jobs in processes or on machines of their own, none of which sees the others' results.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from wbc.utils.files import read_json, write_json

_OF_HYDRA = "multirun.yaml"  # which it writes into a sweep's folder


def keep_job(config: DictConfig, name: str, record: dict[str, Any]) -> list[dict[str, Any]]:
    """Write `record` of the job that `config` is of as `name`, and return those of all jobs so far, in order.

    A record gets the job's number, `job`.
    """
    folder = Path(config.hydra.runtime.output_dir)
    write_json(folder / name, {**record, "job": int(config.hydra.job.num)})
    return kept_jobs(Path(config.hydra.sweep.dir), folder, name)


def kept_jobs(sweep: Path, folder: Path, name: str) -> list[dict[str, Any]]:
    """The records of all jobs of the sweep in `sweep`, of which `folder` is one's, by their numbers."""
    depth = len(folder.absolute().relative_to(sweep.absolute()).parts)
    found = [read_json(path) for path in sweep.glob("/".join(["*"] * depth + [name]))]
    return sorted(found, key=lambda one: one["job"])


def sweep_of(folder: Path) -> Path | None:
    """The folder of the sweep that `folder` is a job of; None where it is none."""
    return next((one for one in folder.absolute().parents if (one / _OF_HYDRA).is_file()), None)
