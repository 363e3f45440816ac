"""The settings of `wbc adapt` as a typed object; values and their reasons stand in conf/adapt/."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from wbc.settings.abstain import AbstainConfig
from wbc.settings.paths import model_path
from wbc.settings.values import STRICT, Checkpoint, Count, PerClass, Runtime, Seed, Workers, expected


@dataclass(config=STRICT, kw_only=True)
class AdaptConfig:
    """Which model settles into which lab, by which cells, and how."""

    checkpoint: Checkpoint
    data: Annotated[str, Field(examples=["<folder of class folders, or table.csv>"])]
    per_class: PerClass = None
    mix: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False), expected("0 or more")]] | None = None
    unlabelled: str | None = None
    measure_rest: bool
    strength: Annotated[float, Field(gt=0, allow_inf_nan=False), expected("a finite number above 0")]
    views: Literal[1, 4, 8]
    folds: Annotated[int, Field(ge=2), expected("2 or more")]
    abstain: AbstainConfig
    batch_size: Count
    workers: Workers = None
    checks_dir: str
    device: str
    runtime: Runtime = "auto"
    seed: Seed

    @model_validator(mode="after")
    def _rules(self) -> AdaptConfig:
        if self.per_class is None and self.measure_rest:
            raise ValueError("measure_rest=true, but per_class=null leaves no cell over: give per_class")
        if self.mix is not None and self.unlabelled is not None:
            raise ValueError(
                "mix and unlabelled both tell how often the lab has each class: give one of them; for the "
                "other mix=null or unlabelled=null"
            )
        if self.mix is not None and not sum(self.mix.values()) > 0:
            raise ValueError(f"mix={self.mix}: no class occurs; give shares as mix='{{Neutrophil: 60, ...}}'")
        return self

    def with_absolute_paths(self) -> AdaptConfig:
        """The same with a checkpoint that is found from any folder; the manifest lists the cells."""
        return replace(self, checkpoint=model_path(self.checkpoint))
