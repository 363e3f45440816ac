"""The loggers of one run: opened for each phase, given the results at its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pytorch_lightning.loggers import Logger

from wbc.errors import ConfigError, WbcError
from wbc.settings import run_folder
from wbc.settings.layout import logged_elsewhere
from wbc.settings.train import Config
from wbc.training.logged_run import LoggedRun
from wbc.training.logger_kinds import Kind, kind_of
from wbc.utils.files import read_json, write_json

Made = TypeVar("Made")


class Loggers:
    """The loggers that `logger` names, as a context: what they have opened elsewhere ends with it.

    Raises ConfigError, with the mend, for settings that name no logger, a package that is missing, and
    whatever a logger's library says.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._ids_file = logged_elsewhere(folder)
        self._ids: dict[str, str] = read_json(self._ids_file) if self._ids_file.exists() else {}
        self._kinds = [
            kind_of(settings["_target_"])(name, settings, folder, self._ids)
            for name, settings in _named(config.logger).items()
        ]
        for kind in self._kinds:
            kind.check()

    def __enter__(self) -> Loggers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for one in self._kinds:
            _mended(one, partial(one.close, failed=error is not None))

    def of_phase(self, phase: str, settings: dict[str, Any]) -> list[Logger]:
        """Those of one phase's fit.  settings: plain values of the run."""
        made = [_mended(kind, partial(kind.of_phase, phase, settings)) for kind in self._kinds]
        if self._ids and run_folder.is_first_rank():
            write_json(self._ids_file, self._ids)
        return made

    def hand_over(self, run: LoggedRun) -> None:
        """Give all of them the results."""
        for kind in self._kinds:
            _mended(
                kind,
                partial(kind.hand_over, run),
                f". The run is complete in {self._folder}; resume_from={self._folder} hands it over again",
            )


def _named(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> settings of each logger."""
    if "_target_" in given:  # of a run from before, when there was one
        return {"logger": given}
    for name, settings in given.items():
        if not isinstance(settings, dict) or "_target_" not in settings:
            raise ConfigError(
                f"logger.{name}={settings}: expected a logger with its _target_, such as "
                f"logger=tensorboard, or +logger.{name}._target_=pytorch_lightning.loggers.<class>"
            )
    return given


def _mended(kind: Kind, work: Callable[[], Made], more: str = "") -> Made:
    """What `work` makes; whatever a logger's library raises becomes a ConfigError."""
    try:
        return work()
    except WbcError:
        raise
    except Exception as error:  # each library has classes of its own
        reason = " ".join(str(error).split())[:300]
        mend = kind.mend.format(name=kind.name)
        raise ConfigError(f"logger={kind.name}: {type(error).__name__}: {reason}; {mend}{more}") from error
