"""Settle into a new lab: `python adapt.py checkpoint=<model.ckpt> data=<labelled cells>`; see README.md."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from wbc.errors import WbcError
from wbc.settings import run_folder
from wbc.settings.adapt import AdaptConfig, with_absolute_paths
from wbc.settings.train import parse_as
from wbc.utils.console import configure_console
from wbc.utils.memory import keep_freed_memory

log = logging.getLogger("adapt")


@hydra.main(version_base="1.3", config_path="conf/adapt", config_name="adapt")
def main(composed: DictConfig) -> None:
    """One run; exit code 1 where a cell could not be read or the job could not be done."""
    configure_console()
    keep_freed_memory()
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        config = with_absolute_paths(parse_as(AdaptConfig, composed))
        run_folder.start(config, folder, run_folder.MODEL)
        from wbc.adapting.job import adapt  # torch takes seconds to import; a wrong setting should not

        unreadable = adapt(config, folder)
    except (WbcError, OSError) as error:
        log.error("%s", error)
        sys.exit(1)
    except KeyboardInterrupt:
        log.error("stopped, and no model written; give the same command again")
        sys.exit(130)
    if unreadable:
        log.error("%d images could not be read; %s says why", unreadable, folder / run_folder.MANIFEST)
        sys.exit(1)


if __name__ == "__main__":
    main()
