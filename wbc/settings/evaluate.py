"""The settings of `evaluate.py` as a typed object; values and their reasons stand in conf/evaluate/."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from omegaconf import MISSING

from wbc.errors import ConfigError
from wbc.settings.train import absolute


@dataclass
class EvaluateConfig:
    """Which model is measured, beside which others, and on what."""

    checkpoint: str | None = None  # None: the last of `compare`
    compare: list[str] = field(default_factory=list)
    data: Any = MISSING  # a word as `wbc.datasets.find_images.find_images` takes it, or a list of them
    in_lab: list[str] = field(default_factory=list)  # of `data`, those from the lab of the training
    batch_size: int = MISSING
    workers: int | None = None
    device: str = MISSING
    checks_dir: str = MISSING
    seed: int = MISSING

    def __post_init__(self) -> None:
        """Refuse values that would fail later and less clearly; make `data` a list, whatever was given."""
        given = self.data if isinstance(self.data, list) else [self.data]
        self.data = [str(item) for item in given if item is not None]
        checks = [
            (bool(self.data), "data: name at least one labelled set, such as data=test or data=<folder>"),
            (len(set(self.data)) == len(self.data), f"data={self.data}: one is named twice"),
            (
                self.checkpoint is not None or bool(self.compare),
                "no model: give checkpoint=<run>/model.ckpt, or compare=[<a.ckpt>,<b.ckpt>]",
            ),
            (len(set(self.models)) == len(self.models), f"compare={self.compare}: one is named twice"),
            (
                not self.compare or len(self.models) > 1,
                f"compare={self.compare}: name two models or more, or the one as checkpoint=",
            ),
            (self.batch_size >= 1, f"batch_size={self.batch_size}: expected 1 or more"),
            (self.workers is None or self.workers >= 0, f"workers={self.workers}: expected 0 or more"),
            (0 <= self.seed < 2**32, f"seed={self.seed}: expected 0 to 2**32 - 1"),
        ]
        for holds, complaint in checks:
            if not holds:
                raise ConfigError(complaint)

    @property
    def models(self) -> list[str]:
        """The checkpoints to measure; the last is the one that is reported in full."""
        others = [path for path in self.compare if path != self.checkpoint]
        return self.compare if self.checkpoint is None else [*others, self.checkpoint]


def with_absolute_paths(config: EvaluateConfig) -> EvaluateConfig:
    """The same settings with paths that hold from any folder; the images are listed in predictions.csv."""
    return replace(
        config,
        checkpoint=absolute(config.checkpoint),
        compare=[absolute(path) for path in config.compare],
        checks_dir=absolute(config.checks_dir),
    )
