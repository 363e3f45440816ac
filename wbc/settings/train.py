"""The composed settings as typed objects: one dataclass a section of `conf/`.

Merging the YAML into these refuses a misspelt or left-over key and a wrong type, naming it.
Values and their reasons stand in `conf/`; here are only names, types and ranges.  Settings that came later
have defaults that change nothing, so that runs from before can be resumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wbc.errors import ConfigError

STANDARDISE = ("size", "field", "stain")

Settings = TypeVar("Settings")  # a command's dataclass
WEIGHTS = ("timm", "none", "package")  # any other word is a file
OUTLIER_SCORES = ("energy", "mahalanobis", "knn", "vim")  # see wbc.answers.outliers
SOURCES = ("folder", "manifest", "labs", "synthetic")
ON_UNREADABLE = ("error", "skip")
PHASES = ("head", "finetune")
BATCH_NORM = ("trainable", "frozen")
MONITORS = {"val_loss": "min", "val_accuracy": "max", "val_macro_f1": "max"}  # and where each should go


@dataclass
class DataConfig:
    """Where images come from, which classes they show, and how they are split."""

    name: str = MISSING
    source: str = MISSING  # one of SOURCES
    root: str = MISSING  # a folder, or a CSV file for source=manifest
    labs: dict[str, str] | None = None  # for source=labs: lab -> folder or CSV file, relative to root
    leave_out: str | None = None  # a lab (column source) whose images are all for the test
    classes: list[str] = MISSING  # the order of labels everywhere
    aliases: dict[str, str] = field(default_factory=dict)  # other spelling -> class
    split_folders: dict[str, str] | None = None  # folder -> split; None: usual spellings are looked for
    val_fraction: float = 0.15
    test_fraction: float = 0.15
    on_unreadable: str = "error"  # one of ON_UNREADABLE
    checks_dir: str = MISSING  # what the image checks found is remembered here
    workers: int | None = None  # processes that check and load images; None: by the number of cores
    drawn_per_class: int = (
        0  # drawn cells among those of training, mean over classes; see `wbc.datasets.synthetic_extra`
    )
    drawn_dir: str = "data/drawn"  # where they are kept
    synthetic_seed: int = 0  # of everything drawn
    images_per_class: int = 0  # synthetic only, from here on
    train_labs: list[str] = field(default_factory=list)
    unseen_labs: list[str] = field(default_factory=list)


@dataclass
class TestTimeConfig:
    """Views over which features are averaged before they are classified; see `wbc.answers.averaged_views`."""

    flips: bool = False
    scales: list[float] = field(default_factory=lambda: [1.0])
    draws: int = 0


@dataclass
class ModelConfig:
    """The network and the weights it starts from."""

    backbone: str = MISSING  # a timm name
    weights: str = MISSING  # timm, none, package, or a file
    image_size_px: int = MISSING
    drop_path_rate: float = MISSING
    head_units: list[int] = MISSING
    dropout: float = MISSING
    test_time: TestTimeConfig = field(default_factory=TestTimeConfig)
    second_opinion: float = 0.0
    standardise: list[str] = field(default_factory=list)  # of STANDARDISE
    size_strength: float = 1.0


@dataclass
class AugmentConfig:
    """What happens to training images, in order: albumentations transforms by `_target_`."""

    transforms: list[Any] = MISSING


@dataclass
class PlateauConfig:
    """When the learning rate falls, by the phase's monitor; see `wbc.training.schedule`."""

    factor: float = MISSING
    patience: int = MISSING
    min_delta: float = MISSING
    min_lr: float = MISSING


@dataclass
class AverageConfig:
    """Whose weights a phase keeps; see `wbc.training.average`."""

    decay: float | None = None  # of an exponential average, a step; None: the plain mean
    from_epoch: int = 0  # counted from 0


@dataclass
class FitConfig:
    """One phase: one fit with an optimizer of its own."""

    lr: float = MISSING
    max_epochs: int = MISSING
    monitor: str = MISSING  # one of MONITORS
    patience: int = MISSING  # epochs without a better monitored value before the phase ends
    unfreeze_last: int = MISSING  # layers of the backbone, counted as Keras counts
    batch_norm: str = MISSING  # of the unfrozen layers, one of BATCH_NORM
    plateau: PlateauConfig | None = None
    average: AverageConfig | None = None

    @property
    def mode(self) -> str:
        """Whether the monitored value should fall (min) or rise (max)."""
        return MONITORS[self.monitor]


@dataclass
class PhaseConfig:
    """Which phases run, in order, and how."""

    run: list[str] = MISSING
    head: FitConfig = field(default_factory=FitConfig)
    finetune: FitConfig = field(default_factory=FitConfig)


@dataclass
class TrainingConfig:
    """Batches, loss and optimizer, the same in both phases."""

    batch_size: int = MISSING
    label_smoothing: float = MISSING
    l2: float = MISSING
    adam_epsilon: float = MISSING
    balance: float = 0.0  # see `wbc.loading.balance`
    max_repeats: int = 10


@dataclass
class AbstainConfig:
    """What answers promise; fitted on validation images at the end of training; see `wbc.answers.rule`."""

    max_error: float = MISSING  # share of answers that may be wrong
    set_coverage: float = MISSING  # share of prediction sets that hold the true class
    outlier_score: str | None = MISSING  # one of OUTLIER_SCORES; None, in adapt.py: that of the model's rule
    acceptance: float = MISSING  # share of known cells that pass as known

    def checks(self, of_model: bool = False) -> list[tuple[bool, str]]:
        """What must hold, each with what to say where it does not; for the settings that hold these.

        of_model: whether there is a model, whose rule's score can be taken.
        """
        return [
            (0 < self.max_error < 1, f"abstain.max_error={self.max_error}: expected 0 < share < 1"),
            (0 < self.set_coverage < 1, f"abstain.set_coverage={self.set_coverage}: expected 0 < share < 1"),
            (0 < self.acceptance < 1, f"abstain.acceptance={self.acceptance}: expected 0 < share < 1"),
            (
                self.outlier_score in OUTLIER_SCORES or (of_model and self.outlier_score is None),
                f"abstain.outlier_score={self.outlier_score!r}: expected one of {OUTLIER_SCORES}",
            ),
        ]


@dataclass
class Config:
    """Everything that makes a run; the same object makes the same run."""

    name: str = MISSING
    seed: int = MISSING
    init_from: str | None = None
    resume_from: str | None = None
    cache_views: int = MISSING  # augmented views of each training image; 0: augmented anew in every epoch
    cache_dir: str | None = None  # None: in the run folder
    cache_limit_gb: float = MISSING
    cache_keep: bool = MISSING  # whether the caches stay for the next run
    report: bool = True  # whether report.html ends the run
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    phase: PhaseConfig = field(default_factory=PhaseConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    abstain: AbstainConfig = field(default_factory=AbstainConfig)
    trainer: dict[str, Any] = field(default_factory=dict)  # arguments of pytorch_lightning.Trainer
    logger: dict[str, Any] = field(default_factory=dict)  # a Lightning logger by `_target_`

    def as_plain(self) -> dict[str, Any]:
        """The settings as plain dicts, lists, strings and numbers, as a checkpoint may hold them."""
        return as_plain(self)

    def __post_init__(self) -> None:
        """Refuse values that would fail later and less clearly."""
        checks = [
            (self.data.source in SOURCES, f"data.source={self.data.source!r}: expected one of {SOURCES}"),
            (
                self.data.source != "labs" or bool(self.data.labs),
                "data.labs names no lab: give data.labs={<lab>: <folder or table.csv>, ...}",
            ),
            (
                self.data.source == "labs" or not self.data.labs,
                f"data.labs={self.data.labs} is read with data=labs only",
            ),
            (
                self.data.source != "labs" or self.data.split_folders is None,
                "data.split_folders is for one folder; set data.split_folders=null: of data.labs the usual "
                "spellings are found, and any other layout is told by a table",
            ),
            (len(self.data.classes) >= 2, f"data.classes={self.data.classes}: name at least two classes"),
            (
                len(set(self.data.classes)) == len(self.data.classes),
                f"data.classes={self.data.classes}: a class is named twice",
            ),
            (
                self.data.on_unreadable in ON_UNREADABLE,
                f"data.on_unreadable={self.data.on_unreadable!r}: expected one of {ON_UNREADABLE}",
            ),
            (
                self.data.drawn_per_class >= 0,
                f"data.drawn_per_class={self.data.drawn_per_class}: expected 0 (none) or more",
            ),
            (
                self.data.synthetic_seed >= 0,
                f"data.synthetic_seed={self.data.synthetic_seed}: expected 0 or more",
            ),
            (self.cache_views >= 0, f"cache_views={self.cache_views}: expected 0 or more"),
            (self.cache_limit_gb >= 0, f"cache_limit_gb={self.cache_limit_gb}: expected 0 or more"),
            (0 <= self.seed < 2**32, f"seed={self.seed}: expected 0 to 2**32 - 1"),
            (
                self.data.workers is None or self.data.workers >= 0,
                f"data.workers={self.data.workers}: expected 0 or more, or null to choose",
            ),
            (
                self.model.image_size_px >= 64,  # below, the last feature map is one pixel
                f"model.image_size_px={self.model.image_size_px}: expected 64 or more",
            ),
            (
                set(self.model.standardise) <= set(STANDARDISE)
                and len(set(self.model.standardise)) == len(self.model.standardise),
                f"model.standardise={self.model.standardise}: expected [] or some of {list(STANDARDISE)}",
            ),
            (
                0 < self.model.size_strength <= 1,
                f"model.size_strength={self.model.size_strength}: expected 0 < strength <= 1; "
                "to leave sizes as they are, take size out of model.standardise",
            ),
            (0 <= self.model.dropout < 1, f"model.dropout={self.model.dropout}: expected 0 <= dropout < 1"),
            (
                bool(self.model.test_time.scales)
                and all(0.25 <= scale <= 4 for scale in self.model.test_time.scales),
                f"model.test_time.scales={self.model.test_time.scales}: expected one or more, each 0.25 to 4",
            ),
            (
                self.model.test_time.draws >= 0,
                f"model.test_time.draws={self.model.test_time.draws}: expected 0 or more",
            ),
            (
                self.model.test_time.draws == 0 or bool(self.augment.transforms),
                f"model.test_time.draws={self.model.test_time.draws}: there are no augment.transforms "
                "to draw from; set model.test_time.draws=0",
            ),
            (
                0 <= self.model.second_opinion < math.inf,
                f"model.second_opinion={self.model.second_opinion}: expected a weight of 0 (none) or more",
            ),
            (
                self.training.batch_size >= 1,
                f"training.batch_size={self.training.batch_size}: expected 1 or more",
            ),
            (
                0 <= self.training.label_smoothing < 1,
                f"training.label_smoothing={self.training.label_smoothing}: expected 0 <= smoothing < 1",
            ),
            (
                0 <= self.model.drop_path_rate < 1,
                f"model.drop_path_rate={self.model.drop_path_rate}: expected 0 <= rate < 1",
            ),
            (
                min(self.model.head_units, default=1) >= 1,
                f"model.head_units={self.model.head_units}: expected 1 or more in each layer",
            ),
            *self.abstain.checks(),
            (
                0 <= self.training.balance <= 1,
                f"training.balance={self.training.balance}: expected 0 (as it is) to 1 (equally often)",
            ),
            (
                self.training.max_repeats >= 1,
                f"training.max_repeats={self.training.max_repeats}: expected 1 or more",
            ),
            (self.training.l2 >= 0, f"training.l2={self.training.l2}: expected 0 or more"),
            (
                bool(self.phase.run)
                and self.phase.run == [name for name in PHASES if name in self.phase.run],
                f"phase.run={self.phase.run}: expected {list(PHASES)}, or one of them",
            ),
            (
                self.phase.run != ["finetune"] or self.init_from is not None,
                "phase.run=[finetune] would fine-tune under an untrained head: give init_from=<model.ckpt>, "
                "or phase=finetune, which trains the head first",
            ),
            (
                self.init_from is None or self.resume_from is None,
                "init_from starts a new run from weights, resume_from continues a run: give one of them",
            ),
        ]
        for name in PHASES:
            fit: FitConfig = getattr(self.phase, name)
            at = f"phase.{name}"
            checks += [
                (fit.lr > 0, f"{at}.lr={fit.lr}: expected a positive rate"),
                (fit.max_epochs >= 1, f"{at}.max_epochs={fit.max_epochs}: expected 1 or more"),
                (fit.patience >= 1, f"{at}.patience={fit.patience}: expected 1 or more"),
                (fit.monitor in MONITORS, f"{at}.monitor={fit.monitor!r}: expected one of {list(MONITORS)}"),
                (fit.unfreeze_last >= 0, f"{at}.unfreeze_last={fit.unfreeze_last}: expected 0 or more"),
                (
                    fit.plateau is None or (0 < fit.plateau.factor < 1 and fit.plateau.patience >= 1),
                    f"{at}.plateau={fit.plateau}: expected 0 < factor < 1 and patience of 1 or more",
                ),
                (
                    fit.average is None or fit.average.decay is None or 0 < fit.average.decay < 1,
                    f"{at}.average={fit.average}: expected 0 < decay < 1, or null for the plain mean",
                ),
                (
                    fit.average is None or 0 <= fit.average.from_epoch < fit.max_epochs,
                    f"{at}.average={fit.average}: expected from_epoch of 0 or more, below max_epochs",
                ),
                (
                    fit.batch_norm in BATCH_NORM,
                    f"{at}.batch_norm={fit.batch_norm!r}: expected one of {BATCH_NORM}",
                ),
            ]
        for key, instead in _OWN_TRAINER_ARGUMENTS.items():
            checks.append((key not in self.trainer, f"trainer.{key} cannot be set: use {instead}"))
        for holds, complaint in checks:
            if not holds:
                raise ConfigError(complaint)


_OWN_TRAINER_ARGUMENTS = {
    "max_epochs": "phase.<phase>.max_epochs",
    "logger": "logger",
    "callbacks": "a change in wbc/training/phases.py",
    "fast_dev_run": "max_epochs of 1 in both phases",
    "check_val_every_n_epoch": "nothing: every epoch is validated, since the best one is kept",
    "limit_test_batches": "a smaller data set: every test image gets its prediction",
}


def with_absolute_paths(config: Config) -> Config:
    """The same settings with paths that hold from any folder, so that a run can be continued from there."""
    weights = config.model.weights
    return replace(
        config,
        init_from=absolute(config.init_from),
        cache_dir=absolute(config.cache_dir),
        data=replace(
            config.data,
            root=absolute(config.data.root),
            checks_dir=absolute(config.data.checks_dir),
            drawn_dir=absolute(config.data.drawn_dir),
        ),
        model=replace(config.model, weights=weights if weights in WEIGHTS else absolute(weights)),
    )


def absolute(path: str | None) -> Any:
    """The path as it holds from any folder, a string; None for None."""
    return None if path is None else str(Path(path).expanduser().absolute())


def parse(composed: DictConfig) -> Config:
    """The composed YAML as a `Config`; ConfigError names an unknown key, a missing or a wrong value."""
    return parse_as(Config, composed)


def as_plain(settings: Any) -> dict[str, Any]:
    """Any command's dataclass as plain dicts, lists, strings and numbers."""
    return OmegaConf.to_container(OmegaConf.structured(settings))  # type: ignore[return-value]


def parse_as(kind: type[Settings], composed: DictConfig) -> Settings:
    """As `parse`, for another command's dataclass."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), composed)
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = f" at {error.full_key}" if error.full_key else ""
        raise ConfigError(f"the settings do not hold{key}: {str(error).splitlines()[0]}") from error
    assert isinstance(config, kind)
    return config
