"""Hydra tells of each job of a `train.py -m` sweep that starts or ends; the table so far is written."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from wbc.training.sweep_jobs import keep_job, kept_jobs, sweep_of
from wbc.training.sweep_report import COMPLETE, SweepJob, best_first, job_figures, write_sweep
from wbc.utils.files import read_json, write_json

log = logging.getLogger(__name__)

_RECORD = "job.json"  # of a job, in its folder


class SweepTable(Callback):
    """Shows the jobs best first and writes sweep.md, sweep.html and sweep.json."""

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note one job: of one that is killed there is no other word."""
        file = Path(config.hydra.runtime.output_dir) / _RECORD
        if config.hydra.mode == RunMode.MULTIRUN and not file.exists():
            settings = list(config.hydra.overrides.task)
            keep_job(config, _RECORD, asdict(SweepJob(0, settings, None, ended="unfinished")))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write the table so far: where a job failed, Hydra ends without another word.

        A job that is continued by itself, by resume_from, is known by its folder.
        """
        folder = Path(config.hydra.runtime.output_dir)
        sweep: Path | None = Path(config.hydra.sweep.dir)
        if config.hydra.mode != RunMode.MULTIRUN:
            sweep = sweep_of(folder)
        file = folder / _RECORD
        if sweep is None or not file.exists():
            return
        record = read_json(file)
        done = job_return.status == JobStatus.COMPLETED
        if done:
            figures = job_figures(folder)
            record |= {"val_macro_f1": job_return.return_value, "figures": figures, "ended": COMPLETE}
        elif record["val_macro_f1"] is None:
            record["ended"] = "failed"
        write_json(file, record)
        jobs = [SweepJob(**one) for one in kept_jobs(sweep, folder, _RECORD)]
        table = write_sweep(sweep, jobs)
        write_json(sweep / "sweep.json", [asdict(job) for job in best_first(jobs)])
        ended = sum(job.ended != "unfinished" or job.val_macro_f1 is not None for job in jobs)
        log.info("jobs done: %d; page: %s\n\n%s\n", ended, sweep / "sweep.html", table)
