"""The settings of `explain.py` as a typed object; values and their reasons stand in conf/explain.yaml."""

from __future__ import annotations

from dataclasses import dataclass, replace

from omegaconf import MISSING

from wbc.errors import ConfigError
from wbc.settings.train import absolute

TARGETS = ("predicted", "true")  # any other word is a class


@dataclass
class ExplainConfig:
    """What is explained, how, and how far it is measured."""

    checkpoint: str = MISSING
    images: str = MISSING
    resume_from: str | None = None
    methods: list[str] = MISSING  # <method> or <method>:<layer>
    target: str = MISSING  # one of TARGETS, or a class
    per_class: int | None = None
    lime_samples: int = MISSING
    lime_superpixels: int = MISSING
    measure: bool = MISSING
    masks: str | None = None
    steps: int = MISSING
    sanity_images: int = MISSING
    stability_images: int = MISSING
    save_maps: bool = MISSING
    batch_size: int = MISSING
    device: str = MISSING
    seed: int = MISSING

    def __post_init__(self) -> None:
        """Refuse values that would fail later and less clearly."""
        if self.target == "True":  # YAML takes the word true for a truth value
            self.target = "true"
        checks = [
            (bool(self.methods), "methods=[]: name at least one, such as methods=[gradcam]"),
            (len(set(self.methods)) == len(self.methods), f"methods={self.methods}: one is named twice"),
            (
                self.per_class is None or self.per_class >= 1,
                f"per_class={self.per_class}: expected 1 or more",
            ),
            (self.lime_samples >= 10, f"lime_samples={self.lime_samples}: expected 10 or more"),
            (self.lime_superpixels >= 2, f"lime_superpixels={self.lime_superpixels}: expected 2 or more"),
            (self.steps >= 2, f"steps={self.steps}: expected 2 or more"),
            (self.batch_size >= 1, f"batch_size={self.batch_size}: expected 1 or more"),
            (self.sanity_images >= 0, f"sanity_images={self.sanity_images}: expected 0 or more"),
            (self.stability_images >= 0, f"stability_images={self.stability_images}: expected 0 or more"),
            (0 <= self.seed < 2**32, f"seed={self.seed}: expected 0 to 2**32 - 1"),
            (
                self.masks is None or self.measure,
                "masks are used to measure only: add measure=true, or leave them out",
            ),
        ]
        for holds, complaint in checks:
            if not holds:
                raise ConfigError(complaint)


def with_absolute_paths(config: ExplainConfig) -> ExplainConfig:
    """The same settings with paths that hold from any folder; the images are listed in images.csv anyway."""
    return replace(config, checkpoint=absolute(config.checkpoint), masks=absolute(config.masks))
