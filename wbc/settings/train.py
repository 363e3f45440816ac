"""The settings of `wbc train` as typed objects: one dataclass a section of conf/train/.

Values and their reasons stand in conf/train/; here are names, types and ranges.  Settings that came later
have defaults that change nothing, so that runs from before can be resumed.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated, Any, Literal, get_args

from omegaconf import DictConfig
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from wbc.hierarchy import Hierarchy
from wbc.settings.abstain import OUTLIER_SCORES, AbstainConfig
from wbc.settings.parse import as_plain, parse_as
from wbc.settings.paths import absolute, model_path
from wbc.settings.values import (
    STRICT,
    Amount,
    AsList,
    Count,
    CountOrNone,
    Distinct,
    DistinctWords,
    Group,
    Rate,
    Runtime,
    Seed,
    Share,
    ShareOrNone,
    Spellings,
    Superclasses,
    Words,
    Workers,
    expected,
)

WEIGHTS = ("timm", "none", "package")  # any other word is a file

Source = Literal["folder", "manifest", "labs", "synthetic"]
Standard = Literal["size", "field", "stain"]
Phase = Literal["head", "finetune"]
BatchNorm = Literal["trainable", "frozen", "auto"]
Monitor = Literal["val_loss", "val_accuracy", "val_macro_f1"]

PHASES: tuple[Phase, ...] = get_args(Phase)


@dataclass(config=STRICT, kw_only=True)
class DataConfig:
    """Where images come from, which classes they show, and how they are split."""

    name: str
    source: Source
    root: Annotated[str, Field(examples=["<folder or table.csv>"])]  # a CSV file for source=manifest
    labs: dict[str, str] | None = None  # for source=labs: lab -> folder or CSV file, relative to root
    leave_out: str | None = None  # a lab (column source) whose images are all for the test
    classes: DistinctWords  # the order of labels everywhere
    # Superclass -> its members, classes or other superclasses: see `wbc.hierarchy`.
    hierarchy: Superclasses = field(default_factory=dict)
    ignore: Annotated[list[str], AsList] = field(default_factory=list)  # other cells, left out
    aliases: Spellings = field(default_factory=dict)  # other spelling -> class
    split_folders: dict[str, str] | None = None  # folder -> split; None: usual spellings are looked for
    group: Group = None  # how class folders or file names tell the patient or slide; None: not at all
    # What model.image_size_px is made of.
    image_size_px: Annotated[int, Field(ge=64), expected("64 or more")] = 224
    val_fraction: float = 0.15
    test_fraction: float = 0.15
    split_seed: CountOrNone = 0  # of the splits and folds; not the run's seed, so that seeds can be compared
    # Of a cross-validation of the whole recipe; see `wbc.training.folds`.
    folds: Annotated[Literal[0] | Annotated[int, Field(ge=2)], expected("0 (none), or 2 or more")] = 0
    on_unreadable: Literal["error", "skip"] = "error"
    checks_dir: str  # what the image checks found is remembered here
    workers: Workers = None  # processes that check and load images; None: by the number of cores
    # Drawn cells among those of training, mean over classes; see `wbc.datasets.synthetic_extra`.
    drawn_per_class: Annotated[int, Field(ge=0), expected("0 (none) or more")] = 0
    drawn_dir: str = "data/drawn"  # where they are kept
    unknown: str | None = None  # cells that are none of the classes; see `wbc.datasets.unknown_cells`
    attributes: str | None = None  # a table of what people named of cells; see `wbc.words.attribute_table`
    synthetic_seed: CountOrNone = 0  # of everything drawn
    images_per_class: int = 0  # synthetic only, from here on
    train_labs: Words = field(default_factory=list)
    unseen_labs: Words = field(default_factory=list)

    @model_validator(mode="after")
    def _rules(self) -> DataConfig:
        if self.source == "labs" and not self.labs:
            raise ValueError(
                "labs names no lab: give data.labs={<lab>: <folder or table.csv>, ...}, the whole in quotes"
            )
        if self.source != "labs" and self.labs:
            raise ValueError(f"labs={self.labs} is read with data=labs only")
        if self.source == "labs" and self.split_folders is not None:
            raise ValueError(
                "split_folders is for one folder; set data.split_folders=null: of data.labs the usual "
                "spellings are found, and any other layout is told by a table"
            )
        if self.source not in ("folder", "labs") and self.group is not None:
            raise ValueError(
                f"group={self.group} is read with data=folder and data=labs only; a table tells groups in "
                "its column group: set data.group=null"
            )
        if len(self.classes) < 2:
            raise ValueError(f"classes={self.classes}: name at least two classes")
        try:
            Hierarchy(self.hierarchy, self.classes)
        except ValueError as error:
            raise ValueError(f"hierarchy: {error}") from error
        return self


@dataclass(config=STRICT)
class TestTimeConfig:
    """Views over which features are averaged before they are classified; see `wbc.answers.averaged_views`."""

    draws: CountOrNone = 0


@dataclass(config=STRICT)
class AverageConfig:
    """Whose weights a phase keeps; see `wbc.training.average`."""

    # Of an exponential average, a step; None: the plain mean.
    decay: Annotated[
        float | None, Field(gt=0, lt=1), expected("0 < decay < 1, or null for the plain mean")
    ] = None
    from_epoch: CountOrNone = 0  # counted from 0


@dataclass(config=STRICT, kw_only=True)
class ScheduleConfig:
    """Rates, epochs and average that suit a network, which the phases take where none are typed for them."""

    head_lr: Rate
    finetune_lr: Rate
    finetune_epochs: Count
    plateau_patience: Count
    finetune_average: AverageConfig | None = None  # None, too, for a run from before
    finetune_batch_norm: BatchNorm = "trainable"


@dataclass(config=STRICT, kw_only=True)
class ModelConfig:
    """The network and the weights it starts from."""

    name: str = ""  # of the preset; a run's folder is named by it
    backbone: Annotated[str, Field(examples=["<a name that timm knows, as resnet50>"])]
    weights: str  # one of WEIGHTS, or a file
    image_size_px: Annotated[int, Field(ge=64), expected("64 or more")]  # below, the last map is one pixel
    drop_path_rate: ShareOrNone
    schedule: ScheduleConfig | None = None  # None: of a run from before
    head_units: Annotated[list[Annotated[int, Field(ge=1)]], expected("1 or more in each layer")]
    dropout: ShareOrNone
    test_time: TestTimeConfig = field(default_factory=TestTimeConfig)
    second_opinion: Annotated[
        float, Field(ge=0, allow_inf_nan=False), expected("a weight of 0 (none) or more")
    ] = 0.0
    size_opinion: bool = False  # see `wbc.plain.size_opinion`
    standardise: Annotated[
        list[Standard], AsList, Distinct, expected(f"[] or some of {list(get_args(Standard))}")
    ] = field(default_factory=list)


@dataclass(config=STRICT)
class AugmentConfig:
    """What happens to training images, in order: albumentations transforms by `_target_`."""

    transforms: list[Any]


@dataclass(config=STRICT, kw_only=True)
class PlateauConfig:
    """When the learning rate falls, by the phase's monitor; see `wbc.training.schedule`."""

    factor: Annotated[float, Field(gt=0, lt=1), expected("0 < factor < 1")]
    patience: Count
    min_delta: float
    min_lr: float


@dataclass(config=STRICT, kw_only=True)
class FitConfig:
    """One phase: one fit with an optimizer of its own."""

    lr: Rate
    max_epochs: Count
    monitor: Monitor
    min_steps: CountOrNone = 0  # in an epoch, which goes through a small set several times
    patience: Count  # epochs without a better monitored value before the phase ends
    unfreeze_last: CountOrNone  # layers of the backbone, counted as Keras counts
    batch_norm: BatchNorm  # of the unfrozen layers
    plateau: PlateauConfig | None = None
    average: AverageConfig | None = None

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether the monitored value should fall (min) or rise (max)."""
        return "min" if self.monitor == "val_loss" else "max"

    @model_validator(mode="after")
    def _rules(self) -> FitConfig:
        if self.average is not None and self.average.from_epoch >= self.max_epochs:
            raise ValueError(
                f"average.from_epoch={self.average.from_epoch}: expected below max_epochs={self.max_epochs}"
            )
        return self


@dataclass(config=STRICT, kw_only=True)
class PhaseConfig:
    """Which phases run, in order, and how."""

    run: Annotated[list[Phase], AsList, expected(f"{list(PHASES)}, or one of them")]
    head: FitConfig
    finetune: FitConfig

    @model_validator(mode="after")
    def _rules(self) -> PhaseConfig:
        if not self.run or self.run != [name for name in PHASES if name in self.run]:
            raise ValueError(f"run={self.run}: expected {list(PHASES)}, or one of them")
        return self


@dataclass(config=STRICT, kw_only=True)
class TrainingConfig:
    """Batches, loss and optimizer, the same in both phases."""

    batch_size: Count
    label_smoothing: Annotated[float, Field(ge=0, lt=1), expected("0 <= smoothing < 1")]
    l2: Amount
    adam_epsilon: float
    # See `wbc.loading.balance`.
    balance: Annotated[float, Field(ge=0, le=1), expected("0 (as it is) to 1 (equally often)")] = 0.0
    max_repeats: Count = 10


@dataclass(config=STRICT)
class WordsConfig:
    """How attributes are learnt and answered, where data.attributes names a table of them."""

    loss: Amount = 3.0  # of all attributes, in fine-tuning, beside that of the class; 0: the class alone
    max_error: Share = 0.05  # of the answers of each attribute that may be wrong


@dataclass(config=STRICT, kw_only=True)
class Config:
    """Everything that makes a run; the same object makes the same run."""

    name: str
    seed: Seed
    init_from: str | None = None
    resume_from: str | None = None
    trust: bool = False  # whether the run folder of resume_from may name code of its maker's
    cache_views: CountOrNone  # augmented views of each training image; 0: augmented anew in every epoch
    cache_dir: str | None = None  # None: in the run folder
    cache_limit_gb: Amount
    cache_keep: bool  # whether the caches stay for the next run
    runtime: Runtime = "auto"  # of the measured sets
    report: bool = True  # whether report.html ends the run
    data: DataConfig
    model: ModelConfig
    augment: AugmentConfig
    phase: PhaseConfig
    training: TrainingConfig
    abstain: AbstainConfig
    words: WordsConfig = field(default_factory=WordsConfig)
    trainer: dict[str, Any] = field(default_factory=dict)  # arguments of pytorch_lightning.Trainer
    # Name -> a Lightning logger by `_target_`; in runs from before the one logger itself.
    logger: dict[str, Any] = field(default_factory=dict)

    def as_plain(self) -> dict[str, Any]:
        """The settings as plain dicts, lists, strings and numbers, as a checkpoint may hold them."""
        return as_plain(self)

    def with_absolute_paths(self) -> Config:
        """The same with paths that hold from any folder, so that a run can be continued from there."""
        weights = self.model.weights
        return replace(
            self,
            init_from=model_path(self.init_from),
            cache_dir=absolute(self.cache_dir),
            logger={name: _with_absolute_store(one) for name, one in self.logger.items()},
            data=replace(
                self.data,
                root=absolute(self.data.root),
                checks_dir=absolute(self.data.checks_dir),
                drawn_dir=absolute(self.data.drawn_dir),
                attributes=absolute(self.data.attributes),
                unknown=absolute(self.data.unknown),
            ),
            model=replace(self.model, weights=weights if weights in WEIGHTS else absolute(weights)),
        )

    @model_validator(mode="after")
    def _rules(self) -> Config:
        if self.model.test_time.draws and not self.augment.transforms:
            raise ValueError(
                f"model.test_time.draws={self.model.test_time.draws}: there are no augment.transforms "
                "to draw from; set model.test_time.draws=0"
            )
        if self.abstain.outlier_score is None:
            raise ValueError(f"abstain.outlier_score=null: expected one of {OUTLIER_SCORES}")
        if self.phase.run == ["finetune"] and self.init_from is None:
            raise ValueError(
                "phase.run=[finetune] would fine-tune under an untrained head: give init_from=<model.ckpt>, "
                "or phase=finetune, which trains the head first"
            )
        if self.init_from is not None and self.resume_from is not None:
            raise ValueError(
                "init_from starts a new run from weights, resume_from continues a run: give one of them"
            )
        for key, instead in _OWN_TRAINER_ARGUMENTS.items():
            if key in self.trainer:
                raise ValueError(f"trainer.{key} cannot be set: use {instead}")
        return self


_OWN_TRAINER_ARGUMENTS = {
    "max_epochs": "phase.<phase>.max_epochs",
    "logger": "logger",
    "callbacks": "a change in wbc/training/phases.py",
    "fast_dev_run": "max_epochs of 1 in both phases",
    "check_val_every_n_epoch": "nothing: every epoch is validated, since the best one is kept",
    "limit_test_batches": "a smaller data set: every test image gets its prediction",
}


def _with_absolute_store(logger: Any) -> Any:
    """The settings of a logger, whose store in a file is the same from any folder."""
    scheme, is_file, path = str(logger.get("tracking_uri") if isinstance(logger, dict) else "").partition(
        ":///"
    )
    if not is_file or scheme != "sqlite":
        return logger
    return logger | {"tracking_uri": f"{scheme}:///{absolute(path)}"}


def parse(composed: DictConfig) -> Config:
    """The composed YAML as a `Config`; ConfigError names an unknown key, a missing or a wrong value."""
    return parse_as(Config, composed)
