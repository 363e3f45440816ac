"""The job of `explain.py`: heat maps of many images into one run folder, batch by batch.

Each batch leaves its rows in parts/ once its panels are there; a continued run does those that have none.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from wbc.answers.checkpoint import load_model, load_provenance
from wbc.answers.predictor import Predictor
from wbc.datasets.check_cache import stamp
from wbc.datasets.find_images import find_images
from wbc.errors import ConfigError, DataError
from wbc.explaining.batch import explain_batch
from wbc.explaining.reasons import COLUMNS as REASONS
from wbc.explaining.report import write_explanations
from wbc.explaining.summary import MEASURES
from wbc.heat.cams import LAST
from wbc.heat.known_pictures import KnownPictures
from wbc.heat.known_strip import SIDE
from wbc.heat.like_these import COLUMNS as LIKE
from wbc.heat.lime import Lime
from wbc.heat.methods import LIME, SCORECAM, Method, build_method
from wbc.heat.word_maps import METHODS as WORD_METHODS
from wbc.heat.word_maps import WordMap
from wbc.images.boxes import photograph_of
from wbc.images.masks import MaskError, mask_path
from wbc.labels import names_of_model
from wbc.loading.file_batches import files_in_batches
from wbc.network.device import chosen_device
from wbc.network.network import Network
from wbc.settings.explain import TARGETS, ExplainConfig
from wbc.utils.files import replacing
from wbc.utils.progress import Progress

log = logging.getLogger(__name__)

IMAGES = "images.csv"
_STAMP = ["bytes", "mtime_ns"]  # its columns by which an image is known again
_TEXT = ["path", "label", "predicted", "status", "set", "target", "method", "layer", "note", *REASONS, *LIKE]
_NUMBERS = ["probability", "target_probability", "seconds", *MEASURES]
_COLUMNS = ["number", *_TEXT, *_NUMBERS]


def explain(config: ExplainConfig, folder: Path) -> int:
    """Explain the images of `config` into `folder`; returns how many could not be read.

    Raises WbcError for settings that cannot be used, before anything is explained.
    """
    parts_folder, results = folder / "parts", folder / "explanations.csv"
    if results.exists() and not parts_folder.exists():
        log.info("%s: finished before", folder)
        return _unreadable(_read_rows(results))
    predictor = load_model(config.checkpoint).to(chosen_device(config.device)).by(config.runtime)
    network = predictor.network
    if config.target not in (*TARGETS, *network.classes):
        raise ConfigError(
            f"target={config.target!r}: expected {', '.join(TARGETS)} or one of the model's classes, "
            f"{', '.join(network.classes)}"
        )
    lime = Lime(
        predictor.network_logits,
        config.lime_samples,
        batch_size=config.batch_size,
        seed=config.seed,
        superpixels=config.lime_superpixels,
    )
    methods = [
        build_method(name, network, lime, predictor.network_logits, config.heat_views)
        for name in config.methods
    ]
    word_maps = _word_maps(config, predictor)
    images = _images(config, folder, network)
    predictor.runtime.expect(len(images) * _passes(config, methods, network))
    for method in methods:
        if method.layers:  # lime looks at pictures alone
            log.info("%s: layer %s", method.name, ", ".join(method.layers))
    if predictor.answered_by:
        log.info("answers come from %s; heat maps show the network alone", predictor.answered_by)
    known = None
    if predictor.known is None and config.known_cells is not None:
        log.warning(
            "known_cells=%s is not used: this model keeps no names of known cells", config.known_cells
        )
    if predictor.known is not None:
        known = KnownPictures(
            predictor.known, Path(config.checkpoint), config.known_cells, predictor.prepare, SIDE
        )
    batches = files_in_batches(images["path"].tolist(), config.batch_size)
    parts = [parts_folder / f"{number * config.batch_size:08d}.csv" for number in range(len(batches))]
    missing = [number for number, part in enumerate(parts) if not part.exists()]
    with Progress("explaining", "image", len(images)) as bar:
        bar.found(sum(len(batches.batch(number)) for number, part in enumerate(parts) if part.exists()))
        for number, batch in zip(missing, predictor.stream(batches, missing), strict=True):
            start = number * config.batch_size
            rows = images.iloc[start : start + config.batch_size]
            records = explain_batch(rows, batch, config, predictor, methods, word_maps, folder, known)
            with replacing(parts[number]) as beside:
                pd.DataFrame(records, columns=_COLUMNS).to_csv(beside, index=False)
            bar.update(len(rows))
    frame = pd.concat([_read_rows(part) for part in parts], ignore_index=True)
    with replacing(results) as beside:
        untold = [name for name in (*REASONS, *LIKE) if (frame[name] == "").all()]
        frame.drop(columns=untold).dropna(axis="columns", how="all").to_csv(beside, index=False)
    words_known = known is not None and known.with_words
    write_explanations(config, folder, frame, network, methods, lime, words_known)
    shutil.rmtree(parts_folder)
    return _unreadable(frame)


def _word_maps(config: ExplainConfig, predictor: Predictor) -> list[WordMap]:
    """One for each attribute that `config` asks for; ConfigError where the model does not tell it."""
    if not config.words:
        return []
    if predictor.words is None:
        raise ConfigError(
            f"words=[{', '.join(config.words)}]: the model has no words; train one with data.attributes, or "
            "leave words out"
        )
    kinds = (name for name in config.methods if name.partition(":")[0] in WORD_METHODS)
    method, _, layer = next(kinds, WORD_METHODS[0]).partition(":")
    return [
        WordMap(predictor.network, predictor.words, attribute, method, layer or LAST, config.heat_views)
        for attribute in config.words
    ]


def _passes(config: ExplainConfig, methods: Sequence[Method], network: Network) -> int:
    """Forward passes an image without a gradient, at least."""
    passes = {LIME: config.lime_samples, SCORECAM: network.backbone.features}
    maps = len(methods) + 2 if config.measure else 0  # two references beside them
    return sum(passes.get(method.name.partition(":")[0], 0) for method in methods) + 2 * config.steps * maps


def _unreadable(frame: pd.DataFrame) -> int:
    return int((frame["method"] == "").sum())


def _images(config: ExplainConfig, folder: Path, network: Network) -> pd.DataFrame:
    """The list that was made when the run started, or a new one."""
    file = folder / IMAGES
    if not file.exists():
        names = names_of_model(network.classes, load_provenance(config.checkpoint))
        found = find_images(config.images, names, Path(config.checkpoint))
        if config.target == "true" and (found["label"] == "").any():
            first = found.loc[found["label"] == "", "path"].iloc[0]
            raise DataError(
                f"target=true, but of {first} and maybe more the true class is not known: give "
                "folders named after classes, a table, or target=predicted"
            )
        if config.per_class is not None:
            drawn = found.sample(frac=1, random_state=config.seed).groupby("label").head(config.per_class)
            found = drawn.sort_values(["label", "path"])
        if config.masks is not None:
            _check_masks(found["path"].tolist(), config.masks)
        now = [_size_and_time(path) for path in found["path"]]
        with replacing(file) as beside:
            found.join(pd.DataFrame(now, columns=_STAMP, index=found.index)).to_csv(beside, index=False)
    images = pd.read_csv(file, dtype=str, keep_default_na=False).reset_index(drop=True)
    if not set(_STAMP) <= set(images):
        log.warning("%s has no column bytes: whether images changed since the run began is not known", file)
        return images
    _refuse_changed(images, folder)
    return images.drop(columns=_STAMP)


def _size_and_time(path: str) -> list[str]:
    """As the columns `_STAMP` have them."""
    now = stamp(path)
    return [str(now.size), str(now.mtime_ns)]


def _refuse_changed(images: pd.DataFrame, folder: Path) -> None:
    """DataError where files are not those, by size and time, that the run in `folder` began with."""
    changed = [
        path
        for path, *before in images[["path", *_STAMP]].itertuples(index=False)
        if before != _size_and_time(path)
    ]
    if changed:
        raise DataError(
            f"{len(changed)} of {len(images)} images changed since the run in {folder} began, e.g. "
            f"{', '.join(changed[:3])}. Put them back as they were, size and time, or start a new run with "
            "the same settings and another hydra.run.dir"
        )


def _check_masks(paths: Sequence[str], masks: str) -> None:
    """DataError where no image has a mask, and where several lead to one, which is right for one at most."""
    owners: dict[Path, str] = {}
    with_mask = 0
    for path in paths:
        try:
            mask = mask_path(path, masks)
        except MaskError:
            continue  # noted beside the image
        with_mask += 1
        if owners.setdefault(mask, photograph_of(path)) != photograph_of(path):
            raise DataError(
                f"{owners[mask]} and {path} both lead to the mask {mask}: lay the masks out in the same "
                "folders as the images"
            )
    if not owners:
        raise DataError(
            f"masks={masks} holds no mask for any of {len(paths)} images: expected a folder laid out as that "
            f"of the images, with {Path(photograph_of(paths[0])).stem}.png for {paths[0]}"
        )
    log.info("%d of %d images have a mask", with_mask, len(paths))


def _read_rows(file: Path) -> pd.DataFrame:
    """Rows as they were written; a class may be called NA, which pandas would take for nothing."""
    types: Any = dict.fromkeys(_TEXT, str) | dict.fromkeys(_NUMBERS, float)
    nothing: Any = {column: [""] for column in _NUMBERS}
    return pd.read_csv(file, dtype=types, keep_default_na=False, na_values=nothing)
