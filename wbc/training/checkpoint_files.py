"""Checkpoints of a training on disk: whole or not there, also where the disk is full or a kill comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_fabric.plugins.io import TorchCheckpointIO

from wbc.network.pretrained import read_tensors, write_tensors


class WholeFiles(TorchCheckpointIO):
    """Written beside, then renamed.

    Lightning writes to the system's folder of temporary files and moves from there: over the border of a file
    system that is a copy, of which a kill leaves half.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Raises OSError with the name of the file where it cannot be written."""
        write_tensors(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = True) -> Any:
        """On the CPU, without running code from it; CheckpointError where it is damaged."""
        return read_tensors(Path(path))
