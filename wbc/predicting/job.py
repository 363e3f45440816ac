"""The job of `predict.py`: answers for a stream of images into one folder, in parts by one or many processes.

What is left of an interrupted run are whole parts; a continued one does those that are missing.
"""

from __future__ import annotations

import csv
import itertools
import logging
import os
import shutil
import time
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException

from wbc.answers.checkpoint import load_model
from wbc.answers.differential import Differential, differential_table
from wbc.answers.prediction_table import table_writer
from wbc.answers.predictor import Predictor
from wbc.datasets.image_list import ImageList, list_hash, write_list
from wbc.errors import ConfigError
from wbc.plain.lab_check import said_of_lab
from wbc.plain.picture_check import SEVERAL_CELLS
from wbc.plain.prediction_rows import PREDICTION, status_column
from wbc.predicting.fields import PICTURES, write_cells
from wbc.predicting.finding import NO_CELL, list_cells
from wbc.predicting.found_cells import FOUND
from wbc.predicting.parts import PartRow, compare_labs, part_rows, read_part, write_part
from wbc.settings import run_folder
from wbc.settings.layout import CELLS, DIFFERENTIAL, ERRORS, NO_CELLS, OVERLAPS, SOURCES
from wbc.settings.predict import PredictConfig
from wbc.utils.files import file_hash, read_json, replacing, write_json
from wbc.utils.progress import Progress, progress

log = logging.getLogger(__name__)

_CHANGES = {"model": "the file of the model", "images": "the list of images or one of them"}
_NO_CELL_FOUND = (
    "in %d of the photographs no white cell was found, %s names them: look at some, for without red cells, "
    "which give the scale, nothing is found"
)
_PART_BATCHES = 16  # what a kill loses, at most, in each process
_LISTING = timedelta(
    days=1
)  # so long the others wait for the first; torch's half hour ends in 25 million images
_QUIET_S = 10  # so long without a new part, and it says what it waits for
_SILENCE_S = 3600  # so long without a new part, and a waiting process takes the others for dead


def predict(config: PredictConfig, folder: Path) -> int:
    """Answer for the images of `config` in `folder`; returns how many could not be read.

    Raises WbcError for settings that cannot be used, before anything is predicted.
    """
    fabric = _processes(config)
    try:
        return _predicted(config, folder, fabric)
    except KeyboardInterrupt:  # the processes started from here would go on alone
        for process in getattr(fabric.strategy.launcher, "procs", []):
            process.terminate()
        raise


def _predicted(config: PredictConfig, folder: Path, fabric: Fabric) -> int:
    first = fabric.global_rank == 0
    predictor = load_model(config.checkpoint).to(fabric.device).by(config.runtime)
    if predictor.rule is None:
        log.warning(
            "%s has no rule of answers, as checkpoints of a training have none: probabilities are not "
            "calibrated and nothing is held back; model.ckpt of the run folder has one",
            config.checkpoint,
        )
    elif said := predictor.rule.shortfall(f"{predictor.rule.images:,} images that it was fitted on"):
        log.warning("%s", said)
    parts_folder = folder / "parts"
    listed = parts_folder / "images.jsonl"
    # Decided by the first process, before any other answers an image.
    usual_share = 0.0 if predictor.pictures is None else predictor.pictures.usual_share
    there = _look_at_what_is_there(config, folder, listed, usual_share) if first else None
    outcome: Any = fabric.broadcast(there)
    if isinstance(outcome, str):
        raise ConfigError(outcome)
    if outcome is not None:
        log.info("%s: finished before", folder)
        return int(outcome)
    images = ImageList(listed, config.batch_size)
    starts = range(0, len(images), _PART_BATCHES)
    parts = [parts_folder / f"{start:08d}.csv" for start in starts]
    mine = [
        (start, part)
        for start, part in list(zip(starts, parts, strict=True))[fabric.global_rank :: fabric.world_size]
        if not part.exists()
    ]
    _write_parts(mine, images, predictor, config, first)
    _wait_for_all(parts)
    fabric.barrier()  # the list is read no more
    if not first:
        return 0  # the first process tells the outcome
    unreadable = _join(parts, folder, predictor, config)
    shutil.rmtree(parts_folder)
    return unreadable


def _look_at_what_is_there(
    config: PredictConfig, folder: Path, listed: Path, usual_share: float
) -> int | str | None:
    """How many images of the finished run in `folder` could not be read; None where there is work to do.

    Or why it cannot go on: its answers are of another model, or of other images.  Nothing is touched then.
    """
    found = folder / ".images.jsonl"
    model = Path(config.checkpoint)
    try:
        write_list(config.images, config.group, found, slides=config.fields)
        now = {"model": file_hash(model) if model.is_file() else "", "images": list_hash(found)}
        before = read_json(folder / SOURCES) if (folder / SOURCES).exists() else None
        changed = [] if before is None else [_CHANGES[key] for key in now if before.get(key) != now[key]]
        if changed:
            return (
                f"{folder} holds answers from before {' and '.join(changed)} changed: give another "
                "output=<folder>, or delete this one to have all answered anew"
            )
        if (folder / DIFFERENTIAL).exists():  # written last, so it tells of a finished run
            return int(read_json(folder / DIFFERENTIAL)["total"]["unreadable"])
        if before is None:
            shutil.rmtree(listed.parent, ignore_errors=True)  # of a run that was stopped before it was known
            write_json(folder / SOURCES, now)
        if not listed.exists():
            listed.parent.mkdir(parents=True, exist_ok=True)
            if config.fields:
                overlaps = folder / OVERLAPS if config.overlap else None
                counts = list_cells(found, listed, usual_share, folder / NO_CELLS, overlaps)
                log.info("%d white cells in the photographs", counts.pop("", 0))
                if empty := counts.pop(NO_CELL, 0):
                    log.warning(_NO_CELL_FOUND, empty, folder / NO_CELLS)
                for status, count in counts.items():
                    log.info("besides %d: %s", count, status)
            else:
                os.replace(found, listed)
        return None
    finally:
        found.unlink(missing_ok=True)


def _processes(config: PredictConfig) -> Fabric:
    """Lightning's launcher: starts the other processes, or finds those of torchrun or SLURM."""
    run_folder.check_started(config.devices, config.num_nodes)
    asked = config.devices * config.num_nodes
    try:
        fabric = Fabric(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.num_nodes,
            strategy=DDPStrategy(timeout=_LISTING) if asked > 1 else "auto",
        )
        fabric.launch()
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"accelerator={config.accelerator}, devices={config.devices}: {error}; give accelerator=cpu"
        ) from error
    return fabric


def _write_parts(
    mine: list[tuple[int, Path]], images: ImageList, predictor: Predictor, config: PredictConfig, first: bool
) -> None:
    """The parts of this process, each written when its batches are done."""
    numbers = {start: range(start, min(start + _PART_BATCHES, len(images))) for start, _ in mine}
    order = list(itertools.chain.from_iterable(numbers.values()))
    stream = predictor.stream(images, order, config.workers)
    count = min(len(order) * images.batch_size, images.images)
    with Progress("predicting", "image", count, shown=first) as bar:
        for start, part in mine:
            rows: list[PartRow] = []
            for batch in itertools.islice(stream, len(numbers[start])):
                rows += part_rows(batch, predictor.lab, predictor.classes)
                bar.update(len(batch.files.images))
            with replacing(part) as beside:
                write_part(beside, rows)


def _wait_for_all(parts: list[Path]) -> None:
    """Until the other processes have written theirs; ConfigError when nothing comes any more."""
    missing, since = [part for part in parts if not part.exists()], time.monotonic()
    said = False
    while missing:
        time.sleep(0.2)
        still = [part for part in missing if not part.exists()]
        quiet_s = time.monotonic() - since
        if len(still) < len(missing):
            missing, since = still, time.monotonic()
        elif quiet_s > _SILENCE_S:
            raise ConfigError(
                f"{len(still)} parts are missing and none came for an hour: another process has died, or "
                "they share no folder; give the same command again to go on"
            )
        elif quiet_s > _QUIET_S and not said:
            said = True
            log.info(
                "waiting for %d parts of other processes; where one of them has died, stop this one and give "
                "the same command again to go on",
                len(still),
            )


def _join(parts: list[Path], folder: Path, predictor: Predictor, config: PredictConfig) -> int:
    """The tables and the differential of all parts; returns how many images could not be read."""
    classes = predictor.classes
    lab = None if predictor.lab is None else compare_labs(parts, predictor.lab, classes)
    total = Differential(classes)
    groups: dict[str, Differential] = defaultdict(lambda: Differential(classes))
    status = status_column(classes)
    with (
        table_writer(folder / config.table, classes, predictor.attributes) as table,
        replacing(folder / ERRORS) as errors_beside,
        errors_beside.open("w", encoding="utf-8", newline="") as errors_file,
    ):
        errors = csv.writer(errors_file)
        errors.writerow(["path", "reason"])
        for part in progress(parts, "writing", "part"):
            for path, group, reason, _, row in read_part(part):
                counted = [total] if config.group is None else [total, groups[group]]
                if reason:
                    errors.writerow([path, reason])
                    for one in counted:
                        one.unreadable += 1
                    continue
                table.writerow(row)
                for one in counted:
                    one.add(row[PREDICTION], row[status])
    record: dict[str, Any] = {
        "model": config.checkpoint,
        "images": config.images,
        "promise": None if predictor.rule is None else predictor.rule.promise(),
        "lab": lab,
        "total": total.record(),
        "groups": {name: groups[name].record() for name in sorted(groups)},
    }
    if config.fields:
        found = folder / "parts" / FOUND
        left_out = write_cells(parts, found, folder, classes, predictor.attributes)
        record["not_counted"] = dict(sorted(left_out.items()))
        log.info("cells: %s, and each photograph with its boxes in %s", folder / CELLS, folder / PICTURES)
    elif (several := record["total"]["status"].get(SEVERAL_CELLS, 0)) > total.counts.total() / 2:
        log.warning(
            "%d of %d pictures do not show one cell: of photographs of whole fields fields=true finds the "
            "cells",
            *(several, total.counts.total()),
        )
    if said := said_of_lab(lab):
        log.warning("%s", said)
    log.info("%s\n", differential_table(record["total"]))
    for name, one in record["groups"].items():
        log.info("%s: %s\n", name, differential_table(one))
    log.info("answers: %s; errors.csv and %s lie beside it", folder / config.table, DIFFERENTIAL)
    write_json(folder / DIFFERENTIAL, record)
    return total.unreadable
