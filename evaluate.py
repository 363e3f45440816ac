"""Measure a model: `python evaluate.py checkpoint=<model.ckpt> data=<labelled folder>`; see README.md."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from wbc.errors import WbcError
from wbc.settings import run_folder
from wbc.settings.evaluate import EvaluateConfig, with_absolute_paths
from wbc.settings.train import parse_as
from wbc.utils.console import configure_console
from wbc.utils.memory import keep_freed_memory

log = logging.getLogger("evaluate")


# A folder of its own: beside conf/data/, Hydra would look for data=<folder> there.
@hydra.main(version_base="1.3", config_path="conf/evaluate", config_name="config")
def main(composed: DictConfig) -> None:
    """One run; exit code 1 where an image could not be read or the job could not be done."""
    configure_console()
    keep_freed_memory()
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        config = with_absolute_paths(parse_as(EvaluateConfig, composed))
        run_folder.start(config, folder, run_folder.METRICS)
        from wbc.evaluating.job import evaluate  # torch takes seconds to import; a wrong setting should not

        unreadable = evaluate(config, folder)
    except (WbcError, OSError) as error:
        log.error("%s", error)
        sys.exit(1)
    except KeyboardInterrupt:
        log.error("stopped; nothing was measured")
        sys.exit(130)
    if unreadable:
        log.error("%d images could not be read; errors.csv says why", unreadable)
        sys.exit(1)


if __name__ == "__main__":
    main()
