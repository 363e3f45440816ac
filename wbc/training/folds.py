"""`data.folds`: the whole recipe cross-validated, and what each image is called by a model without it.

Each fold is a run of its own in folds/<number>, of the training and validation images of the other folds; its
validation images are taken out of those, so that what it holds out neither trained nor chose anything.  The
answers for all held-out images together are what the final model's rule of answers is fitted on.

That is valid by approximation.  Strictly, a limit fitted on one network's outputs holds for that network;
these are outputs of networks trained by the same recipe on fewer images.  They are wrong a little more often
and less sure than the final one, so that the promise errs to the careful side (the argument of
cross-validation+, Barber 2021, whose exact guarantee is for the average over the folds' models).
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from pytorch_lightning import seed_everything
from torch import Tensor

from wbc.answers.predictor import Predictor
from wbc.answers.rule import OutOfFold
from wbc.datasets.checks import examine_images
from wbc.datasets.folds import fold_numbers
from wbc.datasets.manifest import DRAWN, read_manifest, used_rows, write_manifest
from wbc.datasets.near_copies import near_copies
from wbc.datasets.near_copy_rows import pictures
from wbc.datasets.splits import make_splits
from wbc.errors import DataError
from wbc.report.doubtful_labels import doubtful_labels, write_doubtful_labels
from wbc.settings import run_folder
from wbc.settings.layout import MANIFEST, METRICS, OUT_OF_FOLD, PIXELS, RESULTS, final_logits, fold_folder
from wbc.settings.train import Config
from wbc.training.measuring import logits_metrics, read_logits
from wbc.training.results import final_sets
from wbc.utils.files import read_json, replacing

log = logging.getLogger(__name__)

Train = Callable[[Config, Path], dict[str, Any]]

_HELD_OUT = "test"  # the split of a fold's images in its own run
_MOST_VAL = 0.5  # of the images that a fold trains on, as `make_splits` takes it


class CrossValidation(NamedTuple):
    """Each of N images by a model that it neither trained nor chose.

    rows: columns path, label and fold.  logits (N, C), labels (N,).  record: as in metrics.json.
    """

    rows: pd.DataFrame
    logits: Tensor
    labels: Tensor
    record: dict[str, Any]

    @property
    def outputs(self) -> OutOfFold:
        """What the rule of answers is fitted on."""
        return OutOfFold(self.logits, self.labels, self.record["folds"])


def cross_validated(
    config: Config, folder: Path, manifest: pd.DataFrame, train: Train
) -> CrossValidation | None:
    """Train `config.data.folds` models by `train`, the job of one run; None where that is 0.

    An interrupted run goes on at the fold and epoch where it was.  Processes beside the first get None too.
    """
    count = config.data.folds
    if not count:
        return None
    if config.init_from is not None:
        log.warning(
            "data.folds: init_from=%s must not have learnt from these images, or the folds flatter and "
            "the promise does not hold",
            config.init_from,
        )
    of_fold = replace(config, report=False, data=replace(config.data, folds=0, unknown=None))
    if run_folder.is_first_rank():
        _write_folds(config, of_fold, folder, manifest)
    for fold in range(count):
        place = fold_folder(folder, fold)
        run_folder.wait_for(place / MANIFEST)
        if (place / RESULTS).exists():
            log.info("fold %d of %d: finished before, in %s", fold + 1, count, place)
            continue
        log.info("fold %d of %d, in %s: what is said of it is not of the final model", fold + 1, count, place)
        train(of_fold, place)
        run_folder.wait_for(place / RESULTS)
    seed_everything(config.seed, workers=True, verbose=False)  # the final model is as without folds
    return _collected(config, folder) if run_folder.is_first_rank() else None


def write_out_of_fold(
    folder: Path, found: CrossValidation, predictor: Predictor, classes: Sequence[str], of_tests: int
) -> None:
    """out_of_fold.csv, and from it the labels that look wrong.

    It holds calibrated probabilities, one column a class, and the logits that they come from.
    of_tests: images of test sets, which no fold has.
    """
    assert predictor.rule is not None
    probabilities = (found.logits.double() / predictor.rule.temperature).softmax(dim=1)
    table = found.rows.reset_index(drop=True)
    table["prediction"] = [classes[index] for index in probabilities.argmax(dim=1).tolist()]
    table = pd.concat(
        [
            table,
            pd.DataFrame(probabilities.numpy(), columns=list(classes)),
            pd.DataFrame(found.logits.numpy(), columns=[f"logit of {name}" for name in classes]),
        ],
        axis=1,
    )
    with replacing(folder / OUT_OF_FOLD) as beside:
        table.to_csv(beside, index=False, float_format="%.6g")
    doubtful = doubtful_labels(found.rows, probabilities.numpy(), classes)
    write_doubtful_labels(folder, doubtful, len(table), of_tests, predictor.prepare)


def _write_folds(config: Config, of_fold: Config, folder: Path, manifest: pd.DataFrame) -> None:
    """The settings and images of each fold's run, where they are not there yet.

    Its own images are the test of its run, the others train and val; drawn cells all train.
    """
    pixels = pd.read_csv(folder / PIXELS, dtype=str, keep_default_na=False)
    used = used_rows(manifest)
    used = used[used["split"].isin(["train", "val"])]
    real = used[used["source"] != DRAWN]
    examined = examine_images(real["path"].tolist(), config.data.checks_dir, config.data.workers)
    hashes: pd.Series = real["path"].map(dict(pixels.itertuples(index=False)))
    shown = pictures(hashes, near_copies(examined.thumbnails_of(real["path"])))
    folds = fold_numbers(real, shown, config.data.folds, config.data.split_seed)
    val_share = float((real["split"] == "val").mean())
    classes = real["label"]
    if real["source"].nunique() > 1:
        classes = classes + " of " + real["source"]  # both are kept even
    for fold in range(config.data.folds):
        place = fold_folder(folder, fold)
        if (place / MANIFEST).exists():
            continue
        rows = real.assign(split="train", label=classes)
        rows.loc[folds == fold, "split"] = _HELD_OUT
        fraction = min(val_share, _MOST_VAL)
        seed = config.data.split_seed
        try:
            split = make_splits(rows, shown, val_fraction=fraction, test_fraction=0, seed=seed)
        except DataError as error:
            raise DataError(
                f"data.folds={config.data.folds}: fold {fold + 1} leaves too little to train on ("
                f"{str(error).partition(';')[0]}); "
                "give more images, or data.folds=0 for none"
            ) from error
        frame = used.assign(split=split.reindex(used.index, fill_value="train"))
        run_folder.start(of_fold, place)
        with replacing(place / PIXELS) as beside:
            pixels[pixels["path"].isin(frame["path"])].to_csv(beside, index=False)
        write_manifest(frame, place / MANIFEST)  # last: it tells of a run


def _collected(config: Config, folder: Path) -> CrossValidation:
    classes = config.data.classes
    parts, logits, each = [], [], []
    for fold in range(config.data.folds):
        place = fold_folder(folder, fold)
        rows = read_manifest(place / MANIFEST)
        parts.append(rows[rows["split"] == _HELD_OUT][["path", "label"]].assign(fold=fold))
        logits.append(read_logits(final_logits(place))[_HELD_OUT])
        each.append({"fold": fold} | _figures(final_sets(read_json(place / METRICS))[_HELD_OUT]))
    rows, joint = pd.concat(parts, ignore_index=True), torch.cat(logits)
    labels = torch.tensor([list(classes).index(label) for label in rows["label"]])
    record = {
        "folds": config.data.folds,
        "each": each,
        "mean": _over(each, statistics.mean),
        "spread": _over(each, statistics.stdev),
        "together": _figures(logits_metrics(joint, labels, classes)),
    }
    return CrossValidation(rows, joint, labels, record)


def _figures(metrics: dict[str, Any]) -> dict[str, Any]:
    """What the table of folds shows, of `classification_metrics`."""
    recall = {name: row["recall"] for name, row in metrics["per_class"].items()}
    return {key: metrics[key] for key in ("images", "accuracy", "macro_f1")} | {"recall": recall}


def _over(each: Sequence[dict[str, Any]], figure: Callable[[Sequence[float]], float]) -> dict[str, Any]:
    """`figure` of the folds' values; of a recall over the folds that hold images of the class out."""

    def of(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return round(figure(known), 6) if len(known) > 1 else None

    recalls = {name: of([one["recall"][name] for one in each]) for name in each[0]["recall"]}
    return {key: of([one[key] for one in each]) for key in ("accuracy", "macro_f1")} | {"recall": recalls}
