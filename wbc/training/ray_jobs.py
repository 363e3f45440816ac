"""Jobs of a sweep as tasks of Ray: on this machine, or on the machines of a cluster that see its folder."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict
from pydantic import Field
from pydantic.dataclasses import dataclass

from wbc.errors import ConfigError
from wbc.settings.layout import CONFIG
from wbc.settings.parse import parse_as
from wbc.settings.values import STRICT
from wbc.training.trial_run import TrialRun
from wbc.utils.answering import check_answers
from wbc.utils.console import configure_console
from wbc.utils.machine import available_cores
from wbc.utils.progress import Progress
from wbc.utils.stopping import heed_signals

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_STORE_BYTES = 100 * 2**20  # of memory that Ray keeps objects in; jobs hand over a figure each


@dataclass(config=STRICT, kw_only=True)
class RaySettings:
    """conf/train/hydra/launcher/ray.yaml."""

    address: str | None
    cpus: Annotated[float, Field(gt=0)]
    gpus: Annotated[float, Field(ge=0)]
    retries: Annotated[int, Field(ge=0)]


def jobs_by_ray(
    given: Mapping[str, Any],
    context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
    overrides: Sequence[Sequence[str]],
    first: int,
) -> list[JobReturn]:
    """One task a job; returns when all have ended, those that failed with their error.

    A job whose process dies is started again, as often as `retries` says, and goes on in its run folder.
    """
    setup_globals()
    configure_console()
    try:
        settings = parse_as(RaySettings, dict(given))
        ray = _started(settings)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    folder = Path(config.hydra.sweep.dir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    remote = ray.remote(num_cpus=settings.cpus, num_gpus=settings.gpus, max_retries=settings.retries)(_job)
    jobs = {}
    try:
        for number, words in enumerate(overrides, first):
            log.info("job %d: %s", number, " ".join(filter_overrides(words)))
            of_job = context.config_loader.load_sweep_config(config, list(words))
            with open_dict(of_job):
                of_job.hydra.job.id = of_job.hydra.job.num = number
                of_job.hydra.sweep.dir = str(folder)
            given_state = (Singleton.get_state(), os.getcwd(), list(sys.argv))
            jobs[remote.remote(context, task, of_job, not _is_begun(of_job), *given_state)] = number
        ended: dict[int, JobReturn] = {}
        with Progress("jobs", "job", len(jobs)) as bar:
            while len(ended) < len(jobs):
                (one,), _ = ray.wait([job for job, number in jobs.items() if number not in ended])
                ended[jobs[one]] = _outcome(ray, one)
                bar.update()
                _tell(jobs[one], ended[jobs[one]], folder)
        return [ended[number] for number in sorted(ended)]
    finally:
        ray.shutdown()


def _started(settings: RaySettings) -> Any:
    """The module of Ray, which is connected."""
    try:
        import ray
    except ImportError as error:
        raise ConfigError('hydra/launcher=ray needs Ray: pip install "wbc[ray]"') from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    os.environ.setdefault("RAY_worker_niceness", "0")  # else all other programs go before
    try:
        if settings.address is None:
            ray.init(
                address="local",
                num_cpus=available_cores(),
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                logging_level=logging.WARNING,
                log_to_driver=False,  # each run folder has its log
            )
        else:
            machine, _, port = settings.address.rpartition(":")
            if machine and "/" not in machine and port.isdigit():
                check_answers(machine, int(port))
            ray.init(address=settings.address, logging_level=logging.WARNING, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        if settings.address is None:
            raise ConfigError(
                f"Ray does not start on this machine: {reason}; take another launcher"
            ) from error
        raise ConfigError(
            f"hydra.launcher.address={settings.address}: {reason}; start Ray there first (ray start --head), "
            "or leave it out, and Ray is started on this machine"
        ) from error
    heed_signals()  # Ray has set handlers of its own
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for key, name in (("cpus", "CPU"), ("gpus", "GPU")):
        most, asked = max((one.get(name, 0) for one in machines), default=0), getattr(settings, key)
        if asked > most:
            ray.shutdown()
            raise ConfigError(
                f"hydra.launcher.{key}={asked:g}: no machine has more than {most:g}, and a job runs on one; "
                f"give hydra.launcher.{key}={most:g} or less"
            )
    return ray


def _folder_of(job: DictConfig) -> Path:
    return Path(job.hydra.sweep.dir) / str(job.hydra.sweep.subdir)


def _is_begun(job: DictConfig) -> bool:
    return (_folder_of(job) / CONFIG).is_file()


def _job(
    context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
    is_new: bool,
    state: Any,
    place: str,
    typed: list[str],
) -> JobReturn:
    """In a process of Ray's.  is_new: no run lay in its folder when the sweep was started.

    place: the folder that the sweep was started in, where it is seen from here.
    """
    if Path(place).is_dir():
        os.chdir(place)
    sys.argv = typed
    setup_globals()
    Singleton.set_state(state)
    HydraConfig.instance().set_config(config)
    if is_new and _is_begun(config):  # its process died, and this is another one
        return _gone_on(_folder_of(config), int(os.environ.get("OMP_NUM_THREADS", "1")))
    try:
        return run_job(
            hydra_context=context,
            task_function=task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
    except SystemExit as end:
        if end.code in (130, 143):  # asked to stop, as by `kill`: a job for another process
            os._exit(end.code)
        return JobReturn(status=JobStatus.FAILED, _return_value=RuntimeError(f"the job ended: {end.code}"))


def _gone_on(folder: Path, threads: int) -> JobReturn:
    """Of a run that another process began: from its last whole epoch."""
    run = TrialRun(folder, [], threads)
    try:
        while run.exit_code is None:
            time.sleep(_LOOK_EVERY_S)
    finally:
        run.stop()
    if run.exit_code or run.value is None:
        return JobReturn(status=JobStatus.FAILED, _return_value=RuntimeError(run.last_words))
    return JobReturn(status=JobStatus.COMPLETED, _return_value=run.value)


def _outcome(ray: Any, waiting: Any) -> JobReturn:
    try:
        return ray.get(waiting)
    except ray.exceptions.RayError as error:  # its process died, and was started again as often as may be
        reason = str(error).strip().splitlines()[0][:200]
        return JobReturn(
            status=JobStatus.FAILED, _return_value=RuntimeError(f"a job's process died: {reason}")
        )


def _tell(number: int, ended: JobReturn, folder: Path) -> None:
    if ended.status == JobStatus.COMPLETED:
        log.info("job %d: done, macro F1 %.4f; page: %s", number, ended.return_value, folder / "sweep.html")
    else:
        log.error("job %d failed: %s", number, ended._return_value)
