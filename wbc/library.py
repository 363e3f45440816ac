"""The verbs as functions: the same settings, the same run folders, results as objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wbc.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from wbc.answers.predictor import Predictor
    from wbc.plain.answers import Answers
    from wbc.settings.train import Config

# Everything below imports torch where it is used: it takes seconds, and `import wbc` should not.


@dataclass(frozen=True)
class SetFigures:
    """How a model does on one labelled set.

    per_class: class -> recall, 0..1; None where the set has no image of it.  all: everything measured, as in
    metrics.json.
    """

    images: int
    accuracy: float
    macro_f1: float
    per_class: Mapping[str, float | None]
    all: Mapping[str, Any]


@dataclass(frozen=True)
class TrainingResult:
    """A finished run.

    sets: val, test, test_a, ... -> figures of the final model.  metrics: the content of metrics.json.
    """

    folder: Path
    sets: Mapping[str, SetFigures]
    metrics: Mapping[str, Any]

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.folder / "model.ckpt"


@dataclass(frozen=True)
class EvaluationResult:
    """A model measured on labelled sets.

    sets: as they are named in the report.  unreadable: how many images could not be read; errors.csv names
    them.
    """

    folder: Path
    sets: Mapping[str, SetFigures]
    unreadable: int
    metrics: Mapping[str, Any]


def load(path: str | Path, device: str = "cpu") -> Predictor:
    """The predictor in a run's `model.ckpt`, or "pretrained", the one that travels with wbc.

    device: where it computes: cpu, cuda, or auto, which takes CUDA where there is one.
    Freed memory stays with the process (`wbc.utils.memory`), which doubles the rate on a CPU.
    Raises CheckpointError for a file that is no model, ConfigError for a device that is not there.

    After the example of `train`:

    >>> wbc.load("runs/tiny/model.ckpt").classes
    ['Basophil', 'Eosinophil', 'Lymphocyte', 'Monocyte', 'Neutrophil']
    """
    from wbc.answers.checkpoint import load_model
    from wbc.network.device import chosen_device
    from wbc.settings.paths import model_path
    from wbc.utils.memory import keep_freed_memory

    keep_freed_memory()
    return load_model(model_path(str(path))).to(chosen_device(device))


def predict(
    model: str | Path | Predictor,
    images: Sequence[str | Path | bytes | Image.Image | np.ndarray],
    *,
    batch_size: int = 32,
    keep_unreadable: bool = False,
) -> Answers:
    """What a model answers for images: labels, probabilities, sets and statuses, in their order.

    model: a file, or what `load` returned, which saves loading it again.  images: paths, bytes of files,
    Pillow's images, or arrays (H, W, 3) uint8 RGB.  keep_unreadable: an image that cannot be read has an
    answer too, that says so; else it raises ImageError.

    After the example of `train`:

    >>> import numpy as np
    >>> answers = wbc.predict("runs/tiny/model.ckpt", [np.zeros((70, 60, 3), np.uint8)])
    >>> answers.probabilities.shape
    (1, 5)
    >>> answers.labels[0] in wbc.load("runs/tiny/model.ckpt").classes
    True
    """
    predictor = load(model) if isinstance(model, str | Path) else model
    return predictor.predict(images, batch_size, keep_unreadable)


def train(*settings: str, folder: str | Path | None = None) -> TrainingResult:
    """Train as `wbc train <settings>` does.

    settings: the words behind the command, each "key=value".  folder: of the run; None: below outputs/, named
    by time.  One that holds a run is refused; "resume_from=<folder>" goes on with it.
    Raises WbcError, with the mend, for settings and images that cannot be used; KeyboardInterrupt where it is
    stopped, and the run can be resumed.

    >>> import wbc
    >>> result = wbc.train(
    ...     "data=synthetic", "data.images_per_class=8", "model=efficientnet_lite0", "model.weights=none",
    ...     "model.image_size_px=64", "phase=head", "phase.head.max_epochs=1", "report=false", "trainer=cpu",
    ...     folder="runs/tiny",
    ... )
    >>> sorted(result.sets)
    ['test', 'test_other_lab', 'val']
    >>> 0 <= result.sets["test"].accuracy <= 1
    True
    >>> result.model.name
    'model.ckpt'
    """
    from wbc.settings import run_folder
    from wbc.settings.compose import composed
    from wbc.settings.train import Config, parse
    from wbc.training.job import train as run
    from wbc.training.results import final_sets

    words, usual = composed("train", Config, settings)
    if words.resume_from is not None:
        if folder is not None or len([one for one in settings if not one.startswith("trust=")]) > 1:
            raise ConfigError("resume_from continues a run with its own settings: leave the others out")
        place = Path(words.resume_from).expanduser().absolute()
        config: Config = run_folder.saved_config(place, Config, bool(words.trust))
        with _claimed(place):
            metrics = run(config, place)
    else:
        config, place = parse(words).with_absolute_paths(), _place(folder, usual)
        with _claimed(place):
            run_folder.start(config, place)
            metrics = run(config, place)
    sets = {name: _set_figures(one) for name, one in final_sets(metrics).items()} if metrics else {}
    return TrainingResult(place, sets, metrics)


def evaluate(
    checkpoint: str | Path,
    data: str | Path | Sequence[str | Path],
    *settings: str,
    folder: str | Path | None = None,
) -> EvaluationResult:
    """Measure a model on labelled images, as `wbc evaluate checkpoint=... data=...` does.

    data: a folder of class folders, a table, a split of the model's own run, or several of these.
    settings: further words behind the command.  folder: of the results; None: below outputs/evaluate/.
    Raises WbcError, with the mend.

    After the example of `train`:

    >>> measured = wbc.evaluate("runs/tiny/model.ckpt", "test", "device=cpu", folder="runs/measured")
    >>> measured.sets["test"].accuracy == result.sets["test"].accuracy
    True
    >>> sorted(measured.sets["test"].per_class)
    ['Basophil', 'Eosinophil', 'Lymphocyte', 'Monocyte', 'Neutrophil']
    """
    from wbc.evaluating.job import evaluate as run
    from wbc.settings import run_folder
    from wbc.settings.compose import composed
    from wbc.settings.evaluate import EvaluateConfig
    from wbc.settings.layout import METRICS
    from wbc.settings.parse import parse_as
    from wbc.settings.quoting import plain_or_quoted
    from wbc.utils.files import read_json

    several = [data] if isinstance(data, str | Path) else list(data)
    if not several:
        raise DataError("data is empty: give a labelled folder, a table or a split")
    listed = ",".join(plain_or_quoted(str(one)) for one in several)
    given = [f"checkpoint={plain_or_quoted(str(checkpoint))}", f"data=[{listed}]"]
    words, usual = composed("evaluate", EvaluateConfig, [*given, *settings])
    config, place = parse_as(EvaluateConfig, words).with_absolute_paths(), _place(folder, usual)
    with _claimed(place):
        run_folder.start(config, place, METRICS)
        unreadable = run(config, place)
    metrics = read_json(place / METRICS)
    sets = {name: _set_figures(one) for name, one in metrics["sets"].items()}
    return EvaluationResult(place, sets, unreadable, metrics)


def _place(folder: str | Path | None, usual: Path) -> Path:
    return usual if folder is None else Path(folder).expanduser().absolute()


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    from wbc.utils.claim import claimed
    from wbc.utils.stopping import handlers_kept

    with claimed(folder, "another folder="), handlers_kept():
        yield


def _set_figures(figures: Mapping[str, Any]) -> SetFigures:
    recalls = {name: row["recall"] for name, row in figures["per_class"].items()}
    return SetFigures(figures["images"], figures["accuracy"], figures["macro_f1"], recalls, figures)
