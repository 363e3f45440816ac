"""The settings of `wbc serve` as a typed object; values and their reasons stand in conf/serve/."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from wbc.settings.paths import model_path
from wbc.settings.values import STRICT, Checkpoint, Count, Port, Runtime, expected

Megapixels = Annotated[float, Field(gt=0, le=80), expected("more than 0, and 80 at most")]  # as decoders take
Megabytes = Annotated[float, Field(gt=0, le=1024), expected("more than 0, and 1024 at most")]


@dataclass(config=STRICT, kw_only=True)
class ServeConfig:
    """Which model answers, where it listens, and how much it takes."""

    checkpoint: Checkpoint
    host: str
    port: Port
    batch_size: Count
    device: str
    runtime: Runtime = "auto"
    queue: Count
    upload_mb: Megabytes
    pictures: Count
    megapixels: Megapixels

    def with_absolute_paths(self) -> ServeConfig:
        """The same with paths that hold from any folder."""
        return replace(self, checkpoint=model_path(self.checkpoint))
