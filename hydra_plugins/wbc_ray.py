"""What `hydra/launcher=ray` names: Hydra takes launchers from the package hydra_plugins alone.

Hydra's own hydra-ray-launcher 1.2.2 wants a cloudpickle of before 3, with which nothing else here goes.
Hydra imports this module whenever it starts, so it is light.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class RayLauncher(Launcher):
    """`train.py -m` by Ray.  settings: as conf/train/hydra/launcher/ray.yaml has them."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the jobs need."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs of a sweep, and return when all have ended."""
        from wbc.training.ray_jobs import jobs_by_ray  # Ray takes seconds to import

        return jobs_by_ray(
            self._settings, self._context, self._task, self._config, job_overrides, initial_job_idx
        )
