"""The job of `explain.py`: heat maps of many images into one run folder, batch by batch.

Each batch leaves its rows in parts/ once its panels are there; a continued run does those that have none.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from wbc.cell_masks import MaskError, localisation, mask_path, read_mask
from wbc.checkpoint import load_network
from wbc.errors import ConfigError, DataError
from wbc.explain_config import TARGETS, ExplainConfig
from wbc.explain_report import panel_file, write_report
from wbc.explain_summary import EDGES, MEASURES, RANDOM
from wbc.faithfulness import deletion_insertion, edge_map, random_map
from wbc.files import replacing
from wbc.image_sources import find_images
from wbc.images import ImageError, decode, resize
from wbc.labels import ClassNames
from wbc.lime import Lime
from wbc.methods import Method, build_method
from wbc.network import Network
from wbc.panels import Decision, panel, write_picture

log = logging.getLogger(__name__)

IMAGES = "images.csv"
_TEXT = ["path", "label", "predicted", "target", "method", "layer", "note"]
_NUMBERS = ["probability", "target_probability", "seconds", *MEASURES]
_COLUMNS = ["number", *_TEXT, *_NUMBERS]
NO_HEAT = "no positive heat"


@dataclass
class _Cell:
    """One image that could be read, and what the network says of it."""

    number: int  # in images.csv
    path: str
    pixels: np.ndarray  # (size, size, 3) uint8, as the network sees it
    mask: np.ndarray | None
    note: str  # why there is no mask
    probabilities: Tensor  # (C,)
    target: int
    decision: Decision


def explain(config: ExplainConfig, folder: Path) -> int:
    """Explain the images of `config` into `folder`; returns how many could not be read.

    Raises WbcError for settings that cannot be used, before anything is explained.
    """
    device = _device(config.device)
    network = load_network(config.checkpoint).to(device)
    if config.target not in (*TARGETS, *network.classes):
        raise ConfigError(
            f"target={config.target!r}: expected {', '.join(TARGETS)} or one of the model's classes, "
            f"{', '.join(network.classes)}"
        )
    lime = Lime(
        lambda images: network(images.to(device)).cpu(),
        config.lime_samples,
        seed=config.seed,
        superpixels=config.lime_superpixels,
    )
    methods = [build_method(name, network, lime) for name in config.methods]
    images = _images(config, folder, network)
    for method in methods:
        log.info("%s: layer %s", method.name, ", ".join(method.layers))
    starts = range(0, len(images), config.batch_size)
    parts = [folder / "parts" / f"{start:08d}.csv" for start in starts]
    with tqdm(total=len(images), unit="image", desc="explaining") as bar:
        for start, part in zip(starts, parts, strict=True):
            rows = images.iloc[start : start + config.batch_size]
            if not part.exists():
                records = _explained(rows, config, network, methods, folder)
                with replacing(part) as beside:
                    pd.DataFrame(records, columns=_COLUMNS).to_csv(beside, index=False)
            bar.update(len(rows))
    frame = pd.concat([_read_part(part) for part in parts], ignore_index=True)
    with replacing(folder / "explanations.csv") as beside:
        frame.dropna(axis="columns", how="all").to_csv(beside, index=False)
    write_report(config, folder, frame, network, methods, lime)
    shutil.rmtree(folder / "parts")
    return int((frame["method"] == "").sum())


def _device(name: str) -> torch.device:
    try:
        if name == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ConfigError(f"device={name}: {error}; give device=cpu or auto") from error


def _images(config: ExplainConfig, folder: Path, network: Network) -> pd.DataFrame:
    """The list that was made when the run started, or a new one."""
    file = folder / IMAGES
    if not file.exists():
        found = find_images(config.images, ClassNames(network.classes), Path(config.checkpoint))
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
            _refuse_shared_masks(found["path"].tolist(), config.masks)
        with replacing(file) as beside:
            found.to_csv(beside, index=False)
    return pd.read_csv(file, dtype=str, keep_default_na=False).reset_index(drop=True)


def _refuse_shared_masks(paths: Sequence[str], masks: str) -> None:
    """DataError where several images lead to one mask, which can be right for one of them at most."""
    owners: dict[Path, str] = {}
    for path in paths:
        try:
            mask = mask_path(path, masks)
        except MaskError:
            continue  # noted beside the image
        if mask in owners:
            raise DataError(
                f"{owners[mask]} and {path} both lead to the mask {mask}: lay the masks out in the same "
                "folders as the images"
            )
        owners[mask] = path


def _explained(
    rows: pd.DataFrame, config: ExplainConfig, network: Network, methods: Sequence[Method], folder: Path
) -> list[dict[str, Any]]:
    """The rows of one batch, a row for each image and method; its panels and maps are written."""
    cells, records = _read(rows, config, network)
    if not cells:
        return records
    images = _stacked(cells, network)
    targets = torch.tensor([cell.target for cell in cells])
    heats: dict[str, Tensor] = {}
    for method in methods:
        started = time.perf_counter()
        heats[method.name] = method.heat(images, targets)
        seconds = (time.perf_counter() - started) / len(cells)
        described = {"method": method.name, "layer": " ".join(method.layers), "seconds": seconds}
        records += _measured(cells, heats[method.name], described, config, network)
    for index, cell in enumerate(cells):
        maps = {name: heat[index].numpy() for name, heat in heats.items()}
        write_picture(panel_file(folder, cell.number), panel(cell.pixels, maps, cell.decision))
        if config.save_maps:
            with replacing(folder / "maps" / f"{cell.number:06d}.npz") as beside:
                np.savez_compressed(beside, **maps)  # type: ignore[arg-type]
    if config.measure:
        side = network.image_size_px
        references = {
            RANDOM: [random_map((side, side), config.seed + cell.number) for cell in cells],
            EDGES: [edge_map(cell.pixels) for cell in cells],
        }
        for name, pictures in references.items():
            heat = torch.from_numpy(np.stack(pictures)).float()
            records += _measured(cells, heat, {"method": name}, config, network)
    return records


def _read_part(part: Path) -> pd.DataFrame:
    """The rows of one batch; a class may be called NA, which pandas would take for nothing."""
    types: Any = dict.fromkeys(_TEXT, str) | dict.fromkeys(_NUMBERS, float)
    nothing: Any = {column: [""] for column in _NUMBERS}
    return pd.read_csv(part, dtype=types, keep_default_na=False, na_values=nothing)


def _read(
    rows: pd.DataFrame, config: ExplainConfig, network: Network
) -> tuple[list[_Cell], list[dict[str, Any]]]:
    """The images that can be read, and a row for each that cannot."""
    cells: list[_Cell] = []
    failed = []
    for number, path, label in zip(rows.index, rows["path"], rows["label"], strict=True):
        try:
            image = decode(path)
        except ImageError as problem:
            log.warning("%s", problem)
            failed.append({"number": number, "path": path, "label": label, "note": problem.reason})
            continue
        mask, note = _mask(path, image.shape, config)
        pixels = resize(image, network.image_size_px)
        cells.append(_Cell(number, path, pixels, mask, note, torch.empty(0), 0, Decision("", 0.0, label)))
    if cells:
        with torch.inference_mode():
            probabilities = network(_stacked(cells, network)).softmax(dim=1).cpu()
        for cell, row in zip(cells, probabilities, strict=True):
            predicted = network.classes[int(row.argmax())]
            true = cell.decision.true
            target = {"predicted": predicted, "true": true}.get(config.target, config.target)
            cell.probabilities = row
            cell.target = network.classes.index(target)
            cell.decision = Decision(predicted, float(row.max()), true, target)
    return cells, failed


def _stacked(cells: Sequence[_Cell], network: Network) -> Tensor:
    """(N, 3, H, W) uint8 on the network's device."""
    images = np.stack([cell.pixels for cell in cells])
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(network.mean.device)


def _mask(path: str, shape: tuple[int, ...], config: ExplainConfig) -> tuple[np.ndarray | None, str]:
    """The mask of an image, or None and why there is none."""
    if config.masks is None:
        return None, ""
    try:
        return read_mask(mask_path(path, config.masks), shape), ""
    except MaskError as problem:
        log.warning("%s", problem)
        return None, f"no mask: {problem.reason}"


def _measured(
    cells: Sequence[_Cell], heat: Tensor, described: dict[str, Any], config: ExplainConfig, network: Network
) -> list[dict[str, Any]]:
    """One row a cell for the heat (N, H, W) of one method."""
    measures: list[dict[str, float]] = [{} for _ in cells]
    if config.measure:
        targets = torch.tensor([cell.target for cell in cells])
        areas = deletion_insertion(network, _stacked(cells, network), heat, targets, config.steps)
        for measured, deletion, insertion in zip(measures, *areas, strict=True):
            measured |= {"deletion": float(deletion), "insertion": float(insertion)}
    records = []
    for cell, one, measured in zip(cells, heat, measures, strict=True):
        located = {} if cell.mask is None else localisation(one.numpy(), cell.mask)
        notes = [cell.note, "" if one.any() else NO_HEAT]
        records.append(
            {
                "number": cell.number,
                "path": cell.path,
                "label": cell.decision.true,
                "predicted": cell.decision.predicted,
                "probability": cell.decision.probability,
                "target": cell.decision.target,
                "target_probability": float(cell.probabilities[cell.target]),
                **described,
                "note": "; ".join(filter(None, notes)),
                **measured,
                **located,
            }
        )
    return records
