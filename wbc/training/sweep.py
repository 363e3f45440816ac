"""The table of a `train.py -m` sweep."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from wbc.utils.files import write_json, write_text
from wbc.utils.text_tables import markdown_table

log = logging.getLogger(__name__)


class SweepTable(Callback):
    """Collects each job's settings and objective; shows them best first and writes sweep.md, sweep.json."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Let the sweep's folder be named after the model: before a job Hydra tells no choice by itself."""
        HydraConfig.instance().set_config(config)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note one job, and write the table so far: where a job failed, Hydra ends without another word."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        done = job_return.status == JobStatus.COMPLETED
        self.jobs.append(
            {
                "job": len(self.jobs),
                "settings": list(job_return.overrides or []),
                "val_macro_f1": job_return.return_value if done else None,
            }
        )
        ordered = sorted(self.jobs, key=_failed_last)
        scores = [
            "failed" if job["val_macro_f1"] is None else f"{job['val_macro_f1']:.4f}" for job in ordered
        ]
        rows = [
            [job["job"], " ".join(job["settings"]), score] for job, score in zip(ordered, scores, strict=True)
        ]
        table = markdown_table(["job", "settings", "validation macro F1"], rows)
        folder = Path(config.hydra.sweep.dir)
        write_text(folder / "sweep.md", table + "\n")
        write_json(folder / "sweep.json", ordered)
        log.info("%d jobs done, in %s\n\n%s\n", len(self.jobs), folder, table)


def _failed_last(job: dict[str, Any]) -> float:
    return 1.0 if job["val_macro_f1"] is None else -job["val_macro_f1"]
