"""The settings of `wbc evaluate` as a typed object; values and their reasons stand in conf/evaluate/."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from wbc.settings.paths import absolute, model_path
from wbc.settings.values import STRICT, Count, DistinctWords, Runtime, Seed, Words, Workers


@dataclass(config=STRICT, kw_only=True)
class EvaluateConfig:
    """Which model is measured, beside which others, and on what."""

    checkpoint: str | None = None  # None: the best of `compare`
    compare: Words = field(default_factory=list)
    # Each a word as `wbc.datasets.find_images.find_images` takes it.
    data: Annotated[DistinctWords, Field(examples=["test, or data=<labelled folder or table.csv>"])]
    # Which of `data` come from the lab that the model was trained in.
    in_lab: DistinctWords = field(default_factory=list)
    batch_size: Count
    workers: Workers = None
    device: str
    runtime: Runtime = "auto"
    checks_dir: str
    seed: Seed

    @property
    def models(self) -> list[str]:
        """The checkpoints to measure, `checkpoint` the last."""
        others = [path for path in self.compare if path != self.checkpoint]
        return self.compare if self.checkpoint is None else [*others, self.checkpoint]

    @model_validator(mode="after")
    def _rules(self) -> EvaluateConfig:
        if not self.data:
            raise ValueError("data: name at least one labelled set, such as data=test or data=<folder>")
        if not self.models:
            raise ValueError("no model: give checkpoint=<run>/model.ckpt, or compare=[<a.ckpt>,<b.ckpt>]")
        if len(set(self.models)) < len(self.models):
            raise ValueError(f"compare={self.compare}: one is named twice")
        if self.compare and len(self.models) < 2:
            raise ValueError(f"compare={self.compare}: name two models or more, or the one as checkpoint=")
        return self

    def with_absolute_paths(self) -> EvaluateConfig:
        """The same with paths that hold from any folder; the images are listed in predictions.csv."""
        return replace(
            self,
            checkpoint=model_path(self.checkpoint),
            compare=[model_path(path) for path in self.compare],
            checks_dir=absolute(self.checks_dir),
        )
