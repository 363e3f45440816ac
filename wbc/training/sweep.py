"""Hydra tells of each job of a `train.py -m` sweep that ended; the table of all so far is written."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from wbc.training.sweep_report import SweepJob, best_first, job_figures, write_sweep
from wbc.utils.files import write_json

log = logging.getLogger(__name__)


class SweepTable(Callback):
    """Collects the jobs; shows them best first and writes sweep.md, sweep.html and sweep.json."""

    def __init__(self) -> None:
        self.jobs: list[SweepJob] = []

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note one job, and write the table so far: where a job failed, Hydra ends without another word."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        done = job_return.status == JobStatus.COMPLETED
        self.jobs.append(
            SweepJob(
                len(self.jobs),
                list(job_return.overrides or []),
                job_return.return_value if done else None,
                job_figures(Path(config.hydra.runtime.output_dir)) if done else {},
            )
        )
        folder = Path(config.hydra.sweep.dir)
        table = write_sweep(folder, self.jobs)
        write_json(folder / "sweep.json", [asdict(job) for job in best_first(self.jobs)])
        log.info("jobs done: %d; page: %s\n\n%s\n", len(self.jobs), folder / "sweep.html", table)
