"""Launchers of sweeps, looked at before a job is started: is what they need here?

Of one that is not installed Hydra names the others, and without SLURM submitit ends with a traceback.
"""

from __future__ import annotations

import importlib.util
import shutil

from wbc.errors import ConfigError

# Launcher -> the module of Hydra's plugin; the extra `cluster` brings all of them.
_PLUGINS = {
    "joblib": "hydra_joblib_launcher",
    "submitit_local": "hydra_submitit_launcher",
    "submitit_slurm": "hydra_submitit_launcher",
}
_BY_SLURM = "submitit_slurm"


def check_launcher(name: str) -> None:
    """Raise ConfigError where hydra/launcher=`name` cannot start jobs here.

    Others than those of the extra `cluster` are left to Hydra.
    """
    plugin = _PLUGINS.get(name)
    if plugin is None:
        return
    if importlib.util.find_spec(f"hydra_plugins.{plugin}") is None:
        raise ConfigError(
            f'hydra/launcher={name} is not installed: pip install "wbc[cluster]", or leave it out, and the '
            "jobs run one after another"
        )
    if name == _BY_SLURM and shutil.which("srun") is None:
        raise ConfigError(
            f"hydra/launcher={name} asks SLURM for machines, and there is no srun here: give the command on "
            "a machine of the cluster, or start the jobs on this one: hydra/launcher=submitit_local"
        )
