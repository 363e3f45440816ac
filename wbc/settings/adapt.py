"""The settings of `adapt.py` as a typed object; values and their reasons stand in conf/adapt/adapt.yaml."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from omegaconf import MISSING

from wbc.errors import ConfigError
from wbc.settings.train import AbstainConfig, absolute

VIEWS = (1, 4, 8)


@dataclass
class AdaptConfig:
    """Which model settles into which lab, by which cells, and how."""

    checkpoint: str = MISSING
    data: str = MISSING
    per_class: int | None = None
    measure_rest: bool = MISSING
    strength: float = MISSING
    views: int = MISSING  # one of VIEWS
    folds: int = MISSING
    abstain: AbstainConfig = field(default_factory=AbstainConfig)
    batch_size: int = MISSING
    workers: int | None = None
    checks_dir: str = MISSING
    device: str = MISSING
    seed: int = MISSING

    def __post_init__(self) -> None:
        """Refuse values that would fail later and less clearly."""
        checks = [
            (
                self.per_class is None or self.per_class >= 1,
                f"per_class={self.per_class}: expected 1 or more",
            ),
            (
                self.per_class is not None or not self.measure_rest,
                "measure_rest=true, but per_class=null leaves no cell over: give per_class",
            ),
            (0 < self.strength < math.inf, f"strength={self.strength}: expected a finite number above 0"),
            (self.views in VIEWS, f"views={self.views}: expected one of {', '.join(map(str, VIEWS))}"),
            (self.folds >= 2, f"folds={self.folds}: expected 2 or more"),
            *self.abstain.checks(of_model=True),
            (self.batch_size >= 1, f"batch_size={self.batch_size}: expected 1 or more"),
            (self.workers is None or self.workers >= 0, f"workers={self.workers}: expected 0 or more"),
            (0 <= self.seed < 2**32, f"seed={self.seed}: expected 0 to 2**32 - 1"),
        ]
        for holds, complaint in checks:
            if not holds:
                raise ConfigError(complaint)


def with_absolute_paths(config: AdaptConfig) -> AdaptConfig:
    """The same settings with a checkpoint that is found from any folder; the manifest lists the cells."""
    return replace(config, checkpoint=absolute(config.checkpoint))
