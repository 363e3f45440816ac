"""What lies where in a run folder: every name of a file that more than one module reads or writes."""

from __future__ import annotations

from pathlib import Path

# Of every verb.
CONFIG = "config.yaml"
VERSIONS = "versions.json"
MODEL = "model.ckpt"  # of train and adapt
MANIFEST = "manifest.csv"  # the images of train and adapt
METRICS = "metrics.json"  # of train, evaluate and adapt
PREDICTIONS = "predictions.csv"  # of train, evaluate and predict
ERRORS = "errors.csv"  # of evaluate and predict: files that could not be read
REPORT = "report.html"  # of train and evaluate
FIGURES = "figures"
CELLS = "cells.csv"  # of predict: the white cells that it found in photographs
NO_CELLS = "no_cells.csv"  # of predict: photographs in which no white cell was found
OVERLAPS = "overlaps.csv"  # of predict: which photographs have a part in common
DIFFERENTIAL = "differential.json"  # of predict and review
DECISIONS = "decisions.sqlite"  # of review
SOURCES = "sources.json"  # of predict: of which model and which images its answers are, by content
EXPORTED = "model"  # of export: the folder that leaves
# Of train.
PIXELS = "pixels.csv"  # what its images showed when it began
NEAR_COPIES = "near_copies.csv"  # pairs of images that show one photograph, if there are any
NEAR_COPIES_PAGE = "near_copies.png"  # in FIGURES: these pairs
RESULTS = "results.md"
EVALUATION = "evaluation.json"
CACHE = "cache"
FOLDS = "folds"  # the runs of a cross-validation, 0, 1, ...
OUT_OF_FOLD = "out_of_fold.csv"  # of train with folds and adapt: each image by a model without it
DOUBTFUL_LABELS = "doubtful_labels.html"  # of train with folds; the same as a table beside it
PHASE_TITLES = {"head": "without fine-tuning", "finetune": "with fine-tuning"}
# Beside the phases in metrics.json, where answers are of more than the network and the image.
FINAL_MODEL = "final_model"
CROSS_VALIDATION = "cross_validation"  # in metrics.json, with data.folds
WORDS = "words"  # in metrics.json, with data.attributes


def log_folder(folder: Path, phase: str) -> Path:
    """Where the logs of a phase lie."""
    return folder / "logs" / phase


def logged_elsewhere(folder: Path) -> Path:
    """By which names the run is known to loggers that keep it elsewhere."""
    return folder / "logs" / "elsewhere.json"


def phase_history(folder: Path, phase: str) -> Path:
    """A row for each epoch of a phase."""
    return log_folder(folder, phase) / "history.csv"


def phase_result(folder: Path, phase: str) -> Path:
    """What a phase found; written last, it marks the phase as finished."""
    return log_folder(folder, phase) / "result.json"


def phase_logits(folder: Path, phase: str) -> Path:
    """The logits of a phase's network for each measured set."""
    return log_folder(folder, phase) / "logits.npz"


def final_logits(folder: Path) -> Path:
    """The logits of the final model for each measured set."""
    return folder / "logs" / "logits.npz"


def fold_folder(folder: Path, fold: int) -> Path:
    """The run folder of one fold of a cross-validation, counted from 0."""
    return folder / FOLDS / str(fold)


def best_checkpoint(folder: Path, phase: str) -> Path:
    """The checkpoint of a phase's best epoch."""
    return folder / "checkpoints" / phase / "best.ckpt"


def last_checkpoint(folder: Path, phase: str) -> Path:
    """The checkpoint of a phase's last whole epoch."""
    return best_checkpoint(folder, phase).with_name("last.ckpt")


def run_file(checkpoint: Path, name: str) -> Path | None:
    """The file `name` of the run that made `checkpoint`, which lies in its folder or in checkpoints/<phase>/.

    None where there is none.
    """
    places = [checkpoint.parent, *checkpoint.parents[2:3]]
    return next((place / name for place in places if (place / name).is_file()), None)
