"""`train.py -m hydra/sweeper=optuna`: which trials run, how many at a time, and what came of them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import optuna
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import Trial, TrialState
from pydantic import Field
from pydantic.dataclasses import dataclass

from wbc.errors import ConfigError, WbcError
from wbc.settings.parse import parse_as
from wbc.settings.quoting import in_shell, plain_or_quoted
from wbc.settings.values import STRICT, Count, CountOrNone, expected
from wbc.training.optuna_page import write_search
from wbc.training.search_space import Space, search_space
from wbc.training.trial_run import TrialRun
from wbc.utils.claim import claimed
from wbc.utils.console import configure_console
from wbc.utils.machine import available_cores
from wbc.utils.progress import Progress
from wbc.utils.stopping import exit_code

log = logging.getLogger("wbc.training.optuna_sweep")

_FOLDER = "folder"  # of a trial, among what the study keeps of it
_LOOK_EVERY_S = 0.5
_GIVE_UP_AFTER = 3  # failures with nothing that went well: the next would fail alike


@dataclass(config=STRICT, kw_only=True)
class SweepSettings:
    """As conf/train/hydra/sweeper/optuna.yaml explains them."""

    params: dict[str, Any]
    n_trials: Count
    n_jobs: Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], expected("1 or more, or auto")]
    sampler: Literal["tpe", "random"]
    pruner: Literal["median", "none"]
    pruner_warmup: CountOrNone
    storage: str | None
    study_name: str


def sweep(given: dict[str, Any], config: DictConfig, typed: Sequence[str]) -> float:
    """Run the study to its end; returns its best macro F1 of the validation images.

    Exits with 1 where a trial failed or a setting does not hold, 130 or 143 where it was stopped.
    """
    configure_console()
    folder = Path(config.hydra.sweep.dir).absolute()
    try:
        settings = parse_as(SweepSettings, given)
        if "BasicLauncher" not in config.hydra.launcher._target_:
            raise ConfigError(
                "hydra/sweeper=optuna starts its trials itself: leave hydra/launcher out, and give "
                "hydra.sweeper.n_jobs=<trials at a time>"
            )
        space, fixed = search_space(settings.params, typed)
        with claimed(folder, "another hydra.sweep.dir="):
            study = _study(settings, folder, int(config.get("seed", 0)))
            failed = _Search(settings, folder, study, space, fixed).run()
    except WbcError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        log.error("stopped; continue with the same command and %s", in_shell("hydra.sweep.dir", str(folder)))
        sys.exit(exit_code())
    if failed:
        sys.exit(f"error: {failed} of {len(study.trials)} trials failed; each has its output in job.txt")
    return study.best_value


def _study(settings: SweepSettings, folder: Path, seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    several = settings.n_jobs != 1
    sampler: BaseSampler = RandomSampler(seed)
    if settings.sampler == "tpe":
        # With several at a time it counts those that run as bad, so that they are not tried twice.
        sampler = TPESampler(seed=seed, multivariate=True, constant_liar=several)
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if settings.pruner == "median":
        pruner = optuna.pruners.MedianPruner(n_startup_trials=settings.pruner_warmup)
    try:
        storage = RDBStorage(settings.storage or f"sqlite:///{folder / 'study.db'}")
        return optuna.create_study(
            storage=storage,
            study_name=settings.study_name,
            sampler=sampler,
            pruner=pruner,
            direction="maximize",
            load_if_exists=True,
        )
    except Exception as error:  # SQLAlchemy and each database have classes of their own
        reason = str(error).strip().splitlines()[0][:200]
        raise ConfigError(
            f"hydra.sweeper.storage={settings.storage}: {reason}; expected sqlite:///<file>, or null"
        ) from error


class _Search:
    """The trials of one study."""

    def __init__(
        self,
        settings: SweepSettings,
        folder: Path,
        study: optuna.Study,
        space: Space,
        fixed: Sequence[Override],
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.study = study
        self.space = space
        self.fixed = list(fixed)
        cores = available_cores()
        self.at_a_time = settings.n_jobs if settings.n_jobs != "auto" else max(1, cores // 2)
        self.threads = max(1, cores // self.at_a_time)
        self._why = ""  # the last trial that failed did so
        self.running: dict[int, tuple[Trial, TrialRun]] = {}

    def run(self) -> int:
        """Until as many trials have ended as are asked for; returns how many failed in this part."""
        self._take_up_again()
        failed = 0
        done = len(self._ended())
        log.info("%d trials, %d at a time, in %s", self.settings.n_trials, self.at_a_time, self.folder)
        self._write()
        try:
            with Progress("trials", "trial", self.settings.n_trials, done=done) as bar:
                while self._start_more() or self.running:
                    for number in list(self.running):
                        state = self._look_at(number)
                        if state is None:
                            continue
                        bar.update()
                        failed += state == TrialState.FAIL
                        self._write()
                        if failed >= _GIVE_UP_AFTER and not self._ended(TrialState.COMPLETE):
                            raise ConfigError(f"the first {failed} trials failed, the last with: {self._why}")
                    time.sleep(_LOOK_EVERY_S)
        finally:
            for _, run in self.running.values():
                run.stop()
        log.info("page: %s", self.folder / "sweep.html")
        return failed

    def _take_up_again(self) -> None:
        """Trials that an earlier part of the sweep left unfinished go on in their folders."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)
            attributes = {_FOLDER: trial.user_attrs.get(_FOLDER, str(trial.number)), "goes_on": True}
            self.study.set_user_attr(f"left {trial.number}", True)
            self.study.enqueue_trial(trial.params, user_attrs=attributes)

    def _ended(self, *states: TrialState) -> list[optuna.trial.FrozenTrial]:
        """What counts: all but those that went on as another trial."""
        left = {int(name.split()[1]) for name in self.study.user_attrs if name.startswith("left ")}
        wanted = states or (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        trials = self.study.get_trials(deepcopy=False, states=wanted)
        return [trial for trial in trials if trial.number not in left]

    def _write(self) -> None:
        write_search(self.folder, self._ended(), self.study, self.space, self.fixed)

    def _start_more(self) -> bool:
        """Whether a trial was started."""
        started = False
        while (
            len(self.running) < self.at_a_time
            and len(self._ended()) + len(self.running) < self.settings.n_trials
        ):
            trial = self._asked()
            name = trial.user_attrs.get(_FOLDER, str(trial.number))
            trial.set_user_attr(_FOLDER, name)
            words = [*(str(one.input_line) for one in self.fixed), *typed_values(trial.params)]
            self.running[trial.number] = (trial, TrialRun(self.folder / name, words, self.threads))
            started = True
        return started

    def _asked(self) -> Trial:
        try:
            return self.study.ask(self.space)
        except ValueError as error:  # Optuna keeps the choices of a study as they were
            raise ConfigError(
                f"the study in {self.folder} was begun with other choices ({error}): give those, or another "
                "hydra.sweep.dir="
            ) from error

    def _look_at(self, number: int) -> TrialState | None:
        """How the trial ended; None while it runs."""
        trial, run = self.running[number]
        code = run.exit_code  # asked first: what it wrote before it ended is then there
        pruned = False
        for step, score in run.new_epochs():
            trial.report(score, step)
            pruned = pruned or (code is None and trial.should_prune())
        if code is None and not pruned:
            return None
        del self.running[number]
        value = run.value
        if pruned:
            run.stop()
            self.study.tell(trial, state=TrialState.PRUNED)
            log.info("trial %d: pruned", number)
            return TrialState.PRUNED
        if code or value is None:
            self._why = run.last_words
            self.study.tell(trial, state=TrialState.FAIL)
            log.error("trial %d failed: %s", number, self._why)
            return TrialState.FAIL
        self.study.tell(trial, value)
        log.info("trial %d: macro F1 %.4f with %s", number, value, " ".join(typed_values(trial.params)))
        return TrialState.COMPLETE


def typed_values(params: dict[str, Any]) -> list[str]:
    """The values of a trial as they are typed behind `wbc train`, without a shell's quotes."""
    return [f"{key}={_as_typed(value)}" for key, value in params.items()]


def _as_typed(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return plain_or_quoted(value) if isinstance(value, str) else str(value)
