"""The settings of `predict.py` as a typed object; values and their reasons stand in conf/predict.yaml."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import MISSING

from wbc.errors import ConfigError
from wbc.settings.train import absolute

TABLES = (".csv", ".parquet")


@dataclass
class PredictConfig:
    """Which model answers for which images, and where the answers lie."""

    checkpoint: str = MISSING
    images: str = MISSING
    output: str = MISSING
    table: str = MISSING  # a file name that ends in one of TABLES
    group: str | None = None
    batch_size: int = MISSING
    workers: int | None = None
    accelerator: str = MISSING
    devices: int = MISSING
    num_nodes: int = MISSING

    def __post_init__(self) -> None:
        """Refuse values that would fail later and less clearly."""
        checks = [
            (
                Path(self.table).suffix in TABLES and Path(self.table).name == self.table,
                f"table={self.table}: expected a file name that ends in {' or '.join(TABLES)}",
            ),
            (self.batch_size >= 1, f"batch_size={self.batch_size}: expected 1 or more"),
            (self.workers is None or self.workers >= 0, f"workers={self.workers}: expected 0 or more"),
            (self.devices >= 1, f"devices={self.devices}: expected 1 or more"),
            (self.num_nodes >= 1, f"num_nodes={self.num_nodes}: expected 1 or more"),
        ]
        for holds, complaint in checks:
            if not holds:
                raise ConfigError(complaint)


def with_absolute_paths(config: PredictConfig) -> PredictConfig:
    """The same settings with paths that hold from any folder."""
    return replace(
        config,
        checkpoint=absolute(config.checkpoint),
        images=absolute(config.images),
        output=absolute(config.output),
    )
