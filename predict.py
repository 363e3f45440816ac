"""Sort a folder of cells: `python predict.py checkpoint=<model.ckpt> images=<folder> output=<folder>`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from wbc.errors import ConfigError, WbcError
from wbc.settings import run_folder
from wbc.settings.predict import PredictConfig, with_absolute_paths
from wbc.settings.train import parse_as
from wbc.utils.console import configure_console
from wbc.utils.memory import keep_freed_memory

log = logging.getLogger("predict")


@hydra.main(version_base="1.3", config_path="conf", config_name="predict")
def main(composed: DictConfig) -> None:
    """One run, new or continued; exit code 1 where an image could not be read or the job not be done."""
    configure_console()
    keep_freed_memory()
    try:
        config = _settings(composed)
        from wbc.predicting.job import predict  # torch takes seconds to import; a wrong setting should not

        unreadable = predict(config, Path(config.output))
    except WbcError as error:
        log.error("%s", error)
        sys.exit(1)
    except OSError as error:
        log.error("%s; mend it, then give the same command again to go on", error)
        sys.exit(1)
    except KeyboardInterrupt:
        log.error("stopped; the same command goes on where it stopped")
        sys.exit(130)
    if unreadable:
        log.error("%d images could not be read; errors.csv says why", unreadable)
        sys.exit(1)


def _settings(composed: DictConfig) -> PredictConfig:
    """The settings, which a run that lies in the output folder already must have too."""
    config = with_absolute_paths(parse_as(PredictConfig, composed))
    folder = Path(config.output)
    if not (folder / run_folder.CONFIG).exists():
        run_folder.start(config, folder)
        return config
    before = run_folder.saved_config(folder, PredictConfig)
    for key in ("checkpoint", "images", "table", "group", "batch_size"):
        if getattr(config, key) != getattr(before, key):
            raise ConfigError(
                f"{folder} holds a run with {key}={getattr(before, key)}, not {getattr(config, key)}: "
                "give the same settings to go on with it, or another output"
            )
    return config


if __name__ == "__main__":
    main()
