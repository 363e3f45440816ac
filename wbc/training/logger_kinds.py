"""The loggers that a run can be shown by, each with what it can hold beside curves."""

from __future__ import annotations

import importlib.util
import logging
import secrets
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import numpy as np
import pandas as pd
from hydra.utils import instantiate
from PIL import Image
from pytorch_lightning.loggers import Logger

from wbc.errors import ConfigError
from wbc.settings import run_folder
from wbc.settings.layout import PREDICTIONS, RESULTS
from wbc.training.logged_run import LoggedRun
from wbc.utils.answering import check_answers

log = logging.getLogger(__name__)

_RESULTS = "results"  # stands where a phase's name stands
_PORTS = {"http": 80, "https": 443}


class Kind:
    """Any Lightning logger that takes save_dir, name and version: curves and final numbers, in logs/<phase>.

    settings: its arguments and `_target_`.  ids: name of a logger -> the run that it has opened elsewhere;
    kept in the run folder, so that a run that goes on is still one there.
    """

    needs: tuple[str, ...] = ()  # modules of packages that are installed by wbc[<name>]
    mend = "check the settings under logger.{name}"  # of an error that its library raises

    def __init__(
        self, name: str, settings: Mapping[str, Any], folder: Path, ids: MutableMapping[str, str]
    ) -> None:
        self.name = name
        self.settings = dict(settings)
        self.folder = folder
        self.ids = ids

    def check(self) -> None:
        """ConfigError where a package is missing; asked before anything is trained."""
        missing = [module for module in self.needs if importlib.util.find_spec(module) is None]
        if missing:
            raise ConfigError(
                f'logger={self.name} needs {" and ".join(missing)}: pip install "wbc[{self.name}]", '
                "or choose logger=tensorboard"
            )

    def of_phase(self, phase: str, settings: Mapping[str, Any]) -> Logger:
        """The logger of one phase's fit.  settings: of the run, plain values."""
        return self._made(save_dir=str(self.folder / "logs"), name=phase, version="")

    def hand_over(self, run: LoggedRun) -> None:
        """Give it the results, of the first process alone."""
        logger = self.of_phase(_RESULTS, run.settings)
        logger.log_metrics(dict(run.numbers), step=0)
        logger.save()
        logger.finalize("success")

    def close(self, *, failed: bool) -> None:
        """End what it has opened elsewhere."""

    def _made(self, **places: Any) -> Any:
        # Places are given afterwards: Hydra would read ${...} in a folder's name as a reference.
        return instantiate(self.settings, _partial_=True)(**places)


class TensorBoard(Kind):
    """Event files, which hold pictures and text, but no files: the model is named by its path."""

    def hand_over(self, run: LoggedRun) -> None:
        """Pictures, the tables of results.md, and numbers beside the settings."""
        logger: Any = self.of_phase(_RESULTS, run.settings)
        for figure in run.figures:
            with Image.open(figure) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            logger.experiment.add_image(f"figures/{figure.stem}", pixels, dataformats="HWC")
        for table in run.tables:
            if table.name == RESULTS:
                logger.experiment.add_text("tables", table.read_text(encoding="utf-8"))
        logger.experiment.add_text("model", str(run.model))
        logger.log_hyperparams(dict(run.settings), dict(run.numbers))
        logger.save()
        logger.finalize("success")


class Csv(Kind):
    """Tables in the run folder, where figures, tables and the model lie already."""

    def of_phase(self, phase: str, settings: Mapping[str, Any]) -> Logger:
        """A file of its own for each part of a run that was stopped: Lightning deletes one that is there."""
        return self._made(save_dir=str(self.folder / "logs"), name=f"{phase}/csv")


class Wandb(Kind):
    """Weights & Biases: one run, in which the curves of a phase bear its name."""

    needs = ("wandb",)
    mend = "log in by `wandb login`, or stay on this machine: logger.wandb.mode=offline"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._run: Any = None

    def of_phase(self, phase: str, settings: Mapping[str, Any]) -> Logger:
        """All phases share one run."""
        if not run_folder.is_first_rank():
            return self._made()  # logs nothing
        if self._run is None:
            self._run = self._opened()
            self._run.config.update(settings, allow_val_change=True)
        return self._made(experiment=self._run, prefix=phase)

    def hand_over(self, run: LoggedRun) -> None:
        """Pictures, answers as a table, numbers as the run's summary, and the model as an artifact."""
        import wandb

        self.of_phase(_RESULTS, run.settings)
        self._run.log({f"figures/{figure.stem}": wandb.Image(str(figure)) for figure in run.figures})
        for table in run.tables:
            if table.name == PREDICTIONS:
                self._run.log({"predictions": wandb.Table(dataframe=pd.read_csv(table))})
        self._run.summary.update(dict(run.numbers))
        model = wandb.Artifact(f"model-{self._run.id}", type="model")
        for file in (run.model, *run.tables, *run.report):
            model.add_file(str(file), policy="immutable")  # not copied into the home folder first
        self._run.log_artifact(model)

    def close(self, *, failed: bool) -> None:
        """Write what is left; says how a run on this machine is handed over."""
        if self._run is None:
            return
        place, offline = Path(self._run.dir).parent, self._run.offline
        self._run.finish(exit_code=int(failed))
        self._run = None
        if offline:
            log.info("wandb: offline; to hand it over: wandb sync %s", place)

    def _opened(self) -> Any:
        self.ids.setdefault(self.name, secrets.token_hex(4))
        usual: dict[str, Any] = {
            "name": f"{self.folder.parent.name}/{self.folder.name}",
            "group": self.folder.parent.name,  # of a sweep: all its jobs
            # A run of its own beside others of the process, as of a cross-validation's folds.
            "reinit": "create_new",
            "settings": {"console": "off", "silent": True},  # it would take the progress bar to pieces
        }
        if self.settings.get("mode") == "offline":
            usual["resume"] = None  # what is offline cannot be asked for; parts of one id are one when synced
        places = {"save_dir": str(self.folder / "logs"), "id": self.ids[self.name]}
        return self._made(**places, **{k: v for k, v in usual.items() if k not in self.settings}).experiment


class Mlflow(Kind):
    """MLflow: one run, in which the curves of a phase bear its name."""

    needs: tuple[str, ...] = ("mlflow",)
    mend = "check logger.mlflow.tracking_uri; a store on this machine is sqlite:///<file>"

    def check(self) -> None:
        """A store in a file takes SQLAlchemy besides; a server must answer, or MLflow tries for minutes."""
        if self._store is not None:
            self.needs = ("mlflow", "sqlalchemy", "alembic")
        super().check()
        try:
            place = urlsplit(str(self.settings.get("tracking_uri") or ""))
            host = place.hostname or ""
            by_proxy = getproxies().get(place.scheme) and not proxy_bypass(host)
            if place.scheme in _PORTS and not by_proxy and run_folder.is_first_rank():
                check_answers(host, place.port or _PORTS[place.scheme])
        except (OSError, ValueError) as error:
            raise ConfigError(f"logger=mlflow: its server does not answer ({error}); {self.mend}") from error

    def of_phase(self, phase: str, settings: Mapping[str, Any]) -> Logger:
        """All phases share one run, which is running from here on."""
        if not run_folder.is_first_rank():
            return self._made()  # logs nothing
        logger = self._made(prefix=phase, **self._places(), run_id=self.ids.get(self.name))
        logger.experiment.update_run(logger.run_id, status="RUNNING")
        if self.name not in self.ids:
            self.ids[self.name] = logger.run_id
            logger.log_hyperparams(dict(settings))
        return logger

    def hand_over(self, run: LoggedRun) -> None:
        """Numbers, and every file as an artifact."""
        logger: Any = self.of_phase(_RESULTS, run.settings)
        logger.log_metrics(dict(run.numbers), step=0)
        files = {"figures": run.figures, "tables": run.tables, "": run.report, "model": [run.model]}
        for place, paths in files.items():
            for path in paths:
                logger.experiment.log_artifact(logger.run_id, str(path), place or None)
        logger.finalize("success")

    def close(self, *, failed: bool) -> None:
        """Say so where the run was stopped or failed; the end of a phase has said that it is finished."""
        if failed and self.name in self.ids and run_folder.is_first_rank():
            logger = self._made(**self._places(), run_id=self.ids[self.name])
            logger.experiment.set_terminated(logger.run_id, "FAILED")

    @property
    def _store(self) -> Path | None:
        """The file of a store on this machine."""
        kind, _, path = str(self.settings.get("tracking_uri") or "").partition(":///")
        return Path(path) if kind == "sqlite" else None

    def _places(self) -> dict[str, Any]:
        usual: dict[str, Any] = {"run_name": f"{self.folder.parent.name}/{self.folder.name}"}
        if self._store is not None:
            self._store.parent.mkdir(parents=True, exist_ok=True)
            usual["artifact_location"] = str(self._store.parent / "artifacts")
        return {key: value for key, value in usual.items() if key not in self.settings}


_KINDS: dict[str, type[Kind]] = {
    "pytorch_lightning.loggers.TensorBoardLogger": TensorBoard,
    "pytorch_lightning.loggers.CSVLogger": Csv,
    "pytorch_lightning.loggers.WandbLogger": Wandb,
    "pytorch_lightning.loggers.MLFlowLogger": Mlflow,
}


def kind_of(target: str) -> type[Kind]:
    """How the class of that name is fed."""
    return _KINDS.get(target, Kind)
