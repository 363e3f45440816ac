"""What `hydra/sweeper=optuna` names: Hydra takes sweepers from the package hydra_plugins alone.

Hydra's own hydra-optuna-sweeper 1.3.0 wants optuna<3 and prunes nothing.  Hydra imports this module whenever
it starts, so it is light.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class OptunaSweeper(Sweeper):
    """`train.py -m` by Optuna.  settings: as conf/train/hydra/sweeper/optuna.yaml has them."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the sweep needs."""
        self._config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Run all trials.  arguments: what was typed, without Hydra's own keys."""
        if importlib.util.find_spec("optuna") is None:
            sys.exit('error: hydra/sweeper=optuna needs optuna: pip install "wbc[search]"')
        from wbc.training.optuna_sweep import sweep  # torch and Optuna take seconds to import

        plain = {
            key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for key, value in self._settings.items()
        }
        return sweep(plain, self._config, arguments)
