"""Whether the output folder can be written, asked before Hydra makes it and answers in a traceback."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from wbc.utils.files import system_error


class OutputFolder(Callback):
    """Ends the command in one sentence where a file cannot be written to its folder.

    key: by which the folder is chosen.
    """

    def __init__(self, key: str) -> None:
        self.key = key

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Of one run."""
        _try(config.hydra.run.dir, self.key)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Of a sweep."""
        _try(config.hydra.sweep.dir, "hydra.sweep.dir")


def _try(folder: str, key: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"some bytes")
    except OSError as error:
        where = OSError(error.errno, error.strerror, folder)  # not the name of the file that was tried
        sys.exit(f"error: {system_error(where, folder, f'another {key}=')}, then give the command again")
