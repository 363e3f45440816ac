"""The table of a leave-one-lab-out sweep: what a model makes of each lab that it never saw.

`python train.py -m data.leave_out=<lab>,<lab>,...`; with `seed=0,1,2` too, means and spreads over seeds.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from wbc.settings.layout import METRICS
from wbc.training.sweep_jobs import keep_job
from wbc.utils.files import read_json, write_json, write_text
from wbc.utils.text_tables import NOT_MEASURED, markdown_table, mean_of_labs, percent

log = logging.getLogger(__name__)

_MEAN = "mean of labs"


class LabSweep(Callback):
    """Of the jobs that leave out a lab: writes labs.md and labs.json beside the sweep's own table."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note one job, and write the table so far: where a job failed, Hydra ends without another word."""
        lab = config.data.get("leave_out")
        if config.hydra.mode != RunMode.MULTIRUN or lab is None:
            return
        settings = [one for one in job_return.overrides or [] if not _is_of_the_grid(one)]
        job: dict[str, Any] = {"lab": str(lab), "seed": config.seed, "settings": settings, "metrics": None}
        if job_return.status == JobStatus.COMPLETED:
            # They import pandas and torch: a wrong key should not wait for it.
            from wbc.datasets.labs import lab_test_set
            from wbc.training.results import final_sets

            sets = final_sets(read_json(Path(config.hydra.runtime.output_dir) / METRICS))
            job["metrics"] = sets[lab_test_set(job["lab"])]
            job["val_macro_f1"] = sets["val"]["macro_f1"]
        jobs = keep_job(config, "lab_job.json", job)
        table = lab_table(jobs)
        folder = Path(config.hydra.sweep.dir)
        write_text(folder / "labs.md", table + "\n")
        write_json(folder / "labs.json", jobs)
        log.info("lab by lab, in %s\n\n%s\n", folder / "labs.md", table)


def lab_table(jobs: Sequence[dict[str, Any]]) -> str:
    """One row for each lab left out, with the mean of labs below them; for each of the settings compared.

    jobs: lab, seed, settings, metrics as of `classification_metrics` (None: failed) and val_macro_f1, the
    macro F1 on validation images of the labs that were trained on.
    """
    common = set.intersection(*(set(job["settings"]) for job in jobs))
    kinds = list(dict.fromkeys(_differing(job, common) for job in jobs))
    classes = list(next((job["metrics"]["per_class"] for job in jobs if job["metrics"]), {}))
    rows: list[list[str]] = []
    for kind in kinds:
        of_kind = [job for job in jobs if _differing(job, common) == kind]
        by_lab: dict[str, list[dict[str, Any]]] = {}
        for job in of_kind:
            by_lab.setdefault(job["lab"], []).append(job)
        labs = [_lab_row(lab, runs, classes) for lab, runs in by_lab.items()]
        rows += [[kind, *cells] for cells, _ in labs]
        if len(labs) > 1:
            means = [
                mean_of_labs([scores[column] for _, scores in labs]) for column in range(len(classes) + 3)
            ]
            rows.append([kind, _MEAN, NOT_MEASURED, *map(percent, means)])
    headers = ["settings", "lab left out", "images", "accuracy", "macro F1"]
    headers += [f"{name} recall" for name in classes] + ["macro F1, other labs' val"]
    skip = 0 if len(kinds) > 1 else 1
    return markdown_table(headers[skip:], [row[skip:] for row in rows])


def _lab_row(
    lab: str, runs: Sequence[dict[str, Any]], classes: Sequence[str]
) -> tuple[list[str], list[float | None]]:
    """The cells of a lab's row, and the means in them."""
    done = [run for run in runs if run["metrics"] is not None]
    failed = f" ({len(runs) - len(done)} of {len(runs)} failed)" if len(done) < len(runs) else ""
    columns = [[run["metrics"][key] for run in done] for key in ("accuracy", "macro_f1")]
    columns += [[run["metrics"]["per_class"][name]["recall"] for run in done] for name in classes]
    columns.append([run["val_macro_f1"] for run in done])
    images = str(done[0]["metrics"]["images"]) if done else NOT_MEASURED
    return [lab + failed, images, *map(_with_spread, columns)], [mean_of_labs(column) for column in columns]


def _with_spread(values: Sequence[float | None]) -> str:
    """A mean in per cent, with its standard deviation where there are several values."""
    mean = mean_of_labs(values)
    if mean is None or len(values) == 1:
        return percent(mean)
    spread = statistics.stdev(value for value in values if value is not None)
    return f"{100 * mean:.1f} ± {100 * spread:.1f} %"


def _differing(job: dict[str, Any], common: set[str]) -> str:
    return " ".join(one for one in job["settings"] if one not in common)


def _is_of_the_grid(override: str) -> bool:
    return override.lstrip("+").startswith(("data.leave_out=", "seed="))
