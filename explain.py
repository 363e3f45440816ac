"""Show why a model decides: `python explain.py checkpoint=<model.ckpt> images=<folder>`; see README.md."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from wbc.errors import ConfigError, WbcError
from wbc.settings import run_folder
from wbc.settings.explain import ExplainConfig, with_absolute_paths
from wbc.settings.train import parse_as
from wbc.utils.console import configure_console
from wbc.utils.memory import keep_freed_memory

log = logging.getLogger("explain")
OmegaConf.register_new_resolver("wbc.first", lambda first, second: first or second)


@hydra.main(version_base="1.3", config_path="conf", config_name="explain")
def main(composed: DictConfig) -> None:
    """One run; exit code 1 where an image could not be read or the job could not be done."""
    configure_console()
    keep_freed_memory()
    from wbc.explaining.job import explain  # torch takes seconds to import; a wrong key should not

    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        unreadable = explain(_open_run(composed, folder), folder)
    except WbcError as error:
        log.error("%s", error)
        sys.exit(1)
    except OSError as error:
        log.error("%s; mend it, then continue with: python explain.py resume_from=%s", error, folder)
        sys.exit(1)
    except KeyboardInterrupt:
        log.error("stopped; continue with: python explain.py resume_from=%s", folder)
        sys.exit(130)
    if unreadable:
        log.error("%d images could not be read; explanations.csv says why", unreadable)
        sys.exit(1)


def _open_run(composed: DictConfig, folder: Path) -> ExplainConfig:
    """New settings, or those of the run to continue."""
    if composed.resume_from is not None:
        others = [o for o in HydraConfig.get().overrides.task if not o.startswith("resume_from=")]
        if others:
            raise ConfigError(
                f"resume_from continues a run with its own settings: leave out {' '.join(others)}"
            )
        return run_folder.saved_config(folder, ExplainConfig)
    config = with_absolute_paths(parse_as(ExplainConfig, composed))
    run_folder.start(config, folder, "images.csv")
    return config


if __name__ == "__main__":
    main()
