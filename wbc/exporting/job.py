"""The job of `export.py`: a folder that answers as the model does, compared before it is called done."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wbc.answers.checkpoint import load_model, load_provenance
from wbc.answers.predictor import Predictor
from wbc.datasets.find_images import find_images
from wbc.errors import ConfigError, DataError, ImageError
from wbc.exporting.description import write_description, write_readme
from wbc.exporting.graph import check_installed, write_graph
from wbc.exporting.int8 import with_int8
from wbc.exporting.keras_folder import WEIGHTS, write_keras_folder
from wbc.exporting.plain_code import write_code
from wbc.exporting.sameness import compared
from wbc.images.decode import decode
from wbc.labels import names_of_model
from wbc.settings.export import INT8, ExportConfig
from wbc.settings.layout import EXPORTED
from wbc.utils.files import write_json
from wbc.utils.progress import progress

log = logging.getLogger(__name__)

COMPARISON = "comparison.json"


def export(config: ExportConfig, folder: Path) -> int:
    """Export the model of `config` to the folder EXPORTED in `folder`; returns how many images were not read.

    Raises WbcError where it cannot be exported, or does not answer alike; there is no such folder then.
    """
    check_installed(config.format)
    if config.precision == INT8 and config.format != "onnx":
        raise ConfigError(f"precision={INT8} is written by ONNX Runtime alone: give format=onnx")
    predictor = load_model(config.checkpoint)
    if config.format == "keras":
        _export_keras(predictor, folder)
        return 0
    provenance = load_provenance(config.checkpoint)
    names = names_of_model(predictor.classes, provenance)
    found = find_images(config.images, names, Path(config.checkpoint))
    if config.precision != INT8:
        found = found.sample(min(config.compared, len(found)), random_state=config.seed)
    elif (found["label"] == "").any():
        raise ConfigError(
            f"images={config.images}: precision={INT8} needs labelled images, such as images=val"
        )
    readable = found[found["path"].isin(_readable(sorted(found["path"])))]
    if not len(readable):
        raise DataError(f"images={config.images}: none can be read, so there is nothing to compare by")
    with _put_in_place(folder) as beside:
        log.info("writing the network as %s", config.format)
        write_graph(predictor.network, config.format, beside)
        figures: dict[str, Any] = {}
        if config.precision == INT8:
            labelled = readable["path"].tolist(), readable["label"].tolist()
            predictor, figures["precision"] = with_int8(predictor, *labelled, beside)
        write_description(predictor, beside)
        write_code(config.format, beside)
        tried = readable["path"].sample(min(config.compared, len(readable)), random_state=config.seed)
        figures |= compared(predictor, sorted(tried), beside)
        write_readme(predictor, provenance, config.format, figures, beside)
        write_json(beside / COMPARISON, figures | {"model": config.checkpoint})
    log.info(
        "the same answers on %d of %d images, the others on the edge of a limit; probabilities within %.1g; "
        "exported: %s",
        figures["images"] - figures["on_the_edge"],
        figures["images"],
        figures["probability_gap"],
        folder / EXPORTED,
    )
    return len(found) - len(readable)


def _export_keras(predictor: Predictor, folder: Path) -> None:
    """The network alone: Keras has no place for what answers beside it, so there is nothing to compare."""
    beside = [predictor.answered_by] if predictor.answered_by else []
    beside += ["the standard view of a cell"] if predictor.prepare.standardise else []
    beside += ["words"] if predictor.words is not None else []
    if beside:
        log.warning("format=keras is the network alone, without %s", " and ".join(beside))
    with _put_in_place(folder) as beside_it:
        write_keras_folder(predictor.network, beside_it)
    log.info(
        "exported: %s; keras_model.py builds the model in Keras and loads %s. Rule of answers, sets and "
        "statuses stay here",
        folder / EXPORTED,
        WEIGHTS,
    )


@contextmanager
def _put_in_place(folder: Path) -> Iterator[Path]:
    """A folder that becomes EXPORTED in `folder` where nothing fails."""
    beside = folder / f".{EXPORTED}"
    shutil.rmtree(beside, ignore_errors=True)  # of an export that was stopped
    beside.mkdir(parents=True)
    try:
        yield beside
        os.replace(beside, folder / EXPORTED)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _readable(paths: list[str]) -> list[str]:
    kept = []
    for path in progress(paths, "reading", "image"):
        try:
            decode(path)
        except ImageError as error:
            log.warning("%s is left out of the comparison", error)
        else:
            kept.append(path)
    return kept
