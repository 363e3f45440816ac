"""Train a classifier: `python train.py phase=finetune data.root=<folder>`; see README.md and conf/."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from wbc.errors import ConfigError, WbcError
from wbc.settings import run_folder
from wbc.settings.train import Config, parse, with_absolute_paths
from wbc.utils.console import configure_console
from wbc.utils.memory import keep_freed_memory

log = logging.getLogger("train")
OmegaConf.register_new_resolver("wbc.first", lambda first, second: first or second)


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(composed: DictConfig) -> float:
    """One run, or one job of a sweep; returns the validation macro-F1."""
    configure_console()
    keep_freed_memory()
    from wbc.training.job import objective, train  # torch takes seconds to import; a wrong key should not

    try:
        config, folder = _open_run(composed)
        return objective(train(config, folder))
    except WbcError as error:
        log.error("%s", error)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise  # the other jobs of a sweep still run
        sys.exit(1)
    except KeyboardInterrupt:
        log.error(
            "stopped; continue with: python train.py resume_from=%s", HydraConfig.get().runtime.output_dir
        )
        sys.exit(130)


def _open_run(composed: DictConfig) -> tuple[Config, Path]:
    """The run folder, and the settings that go with it: new ones, or those of the run to continue."""
    overrides = list(HydraConfig.get().overrides.task)
    folder = Path(HydraConfig.get().runtime.output_dir)
    if composed.resume_from is not None:
        others = [override for override in overrides if not override.startswith("resume_from=")]
        if others:
            raise ConfigError(
                f"resume_from continues a run with its own settings: leave out {' '.join(others)}, or start "
                "a new run, from its weights if you like: init_from=<run folder>/model.ckpt"
            )
        return run_folder.saved_config(folder, Config), folder
    named = any(override.startswith("hydra.run.dir=") for override in HydraConfig.get().overrides.hydra)
    if not named and run_folder.processes_started_outside() > 1:
        raise ConfigError(
            "several processes were started from outside: name one folder, hydra.run.dir=<folder>"
        )
    config = with_absolute_paths(parse(composed))
    if HydraConfig.get().mode == RunMode.MULTIRUN and config.trainer.get("devices", 1) not in (1, "1"):
        raise ConfigError("a sweep runs each job in one process: give trainer.devices=1")
    run_folder.start(config, folder)
    return config, folder


if __name__ == "__main__":
    main()
