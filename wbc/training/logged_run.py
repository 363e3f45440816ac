"""What a finished run hands to its loggers: numbers, figures, tables, the report and the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wbc.settings.layout import FIGURES, METRICS, MODEL, PREDICTIONS, REPORT, RESULTS
from wbc.settings.train import Config
from wbc.training.results import final_sets

_NUMBERS = ("accuracy", "macro_f1", "macro_recall", "macro_precision", "macro_auroc", "cohen_kappa")


@dataclass(frozen=True)
class LoggedRun:
    """The results in a run folder.

    numbers: of each measured set by the final model, "test_a_macro_f1" and so on.  settings: plain values.
    """

    folder: Path
    settings: Mapping[str, Any]
    numbers: Mapping[str, float]

    @property
    def figures(self) -> list[Path]:
        """The pictures, in order of their names; none without a report."""
        return sorted((self.folder / FIGURES).glob("*.png"))

    @property
    def tables(self) -> list[Path]:
        """Files of figures and answers."""
        return self._there(RESULTS, METRICS, PREDICTIONS)

    @property
    def report(self) -> list[Path]:
        """The report, where one was asked for."""
        return self._there(REPORT)

    @property
    def model(self) -> Path:
        """The final model."""
        return self.folder / MODEL

    def _there(self, *names: str) -> list[Path]:
        return [self.folder / name for name in names if (self.folder / name).is_file()]


def logged_run(config: Config, folder: Path, metrics: Mapping[str, Any]) -> LoggedRun:
    """Of a run that has ended.  metrics: as in metrics.json."""
    numbers = {
        f"{name}_{key}": float(figures[key])
        for name, figures in final_sets(metrics).items()
        for key in _NUMBERS
        if figures.get(key) is not None
    }
    return LoggedRun(folder, config.as_plain(), numbers)
