"""The settings of `wbc explain` as a typed object; values and their reasons stand in conf/explain/."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from wbc.settings.paths import absolute, model_path
from wbc.settings.values import (
    STRICT,
    Checkpoint,
    Count,
    CountOrNone,
    DistinctWords,
    PerClass,
    Runtime,
    Seed,
    expected,
)

TARGETS = ("predicted", "true")  # any other word is a class


def _word_true(value: Any) -> Any:
    """YAML takes the word true for a truth value."""
    return "true" if value is True else value


@dataclass(config=STRICT, kw_only=True)
class ExplainConfig:
    """What is explained, how, and how far it is measured."""

    checkpoint: Checkpoint
    images: Annotated[str, Field(examples=["<file, folder, table.csv, or test>"])]
    resume_from: str | None = None
    methods: DistinctWords  # <method> or <method>:<layer>
    heat_views: Count = 1  # what runs of before go on with
    words: DistinctWords = Field(default_factory=list)  # attributes of the model
    target: Annotated[str, BeforeValidator(_word_true)]  # one of TARGETS, or a class
    per_class: PerClass = None
    lime_samples: Annotated[int, Field(ge=10), expected("10 or more")]
    lime_superpixels: Annotated[int, Field(ge=2), expected("2 or more")]
    measure: bool
    masks: str | None = None
    known_cells: str | None = None
    steps: Annotated[int, Field(ge=2), expected("2 or more")]
    sanity_images: CountOrNone
    stability_images: CountOrNone
    save_maps: bool
    batch_size: Count
    device: str
    runtime: Runtime = "auto"
    seed: Seed

    @model_validator(mode="after")
    def _rules(self) -> ExplainConfig:
        if not self.methods:
            raise ValueError("methods=[]: name at least one, such as methods=[gradcam]")
        if self.masks is not None and not self.measure:
            raise ValueError("masks are used to measure only: add measure=true, or leave them out")
        return self

    def with_absolute_paths(self) -> ExplainConfig:
        """The same with paths that hold from any folder; the images are listed in images.csv anyway."""
        return replace(
            self,
            checkpoint=model_path(self.checkpoint),
            masks=absolute(self.masks),
            known_cells=absolute(self.known_cells),
        )
