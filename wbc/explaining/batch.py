"""One batch of images: read, classified, explained by every method, measured, and drawn."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wbc.answers.predictor import Answered, Predictor
from wbc.explaining.reasons import reason_columns
from wbc.explaining.summary import EDGES, RANDOM
from wbc.heat.faithfulness import deletion_insertion, edge_map, random_map
from wbc.heat.known_pictures import KnownPictures
from wbc.heat.like_these import known_strip, like_columns
from wbc.heat.methods import Method
from wbc.heat.overlay import NO_HEAT
from wbc.heat.panels import Decision, panel, panel_file, write_picture
from wbc.heat.thumbnails import write_thumbnails
from wbc.heat.word_maps import WordMap
from wbc.images.boxes import photograph_and_box
from wbc.images.masks import MaskError, localisation, mask_path, read_mask
from wbc.images.standardised import placed_mask
from wbc.network.network import Network
from wbc.plain.known_cells import LikeThese
from wbc.plain.prediction_rows import SET_SEPARATOR
from wbc.plain.words import CellWords, Word
from wbc.settings.explain import ExplainConfig
from wbc.utils.files import replacing

log = logging.getLogger(__name__)

NOT_FINITE = "heat is not finite"
NO_CELL = "no cell found, the image was classified as it is"


@dataclass
class _Cell:
    """One image that could be read, and what the model says of it."""

    number: int  # in images.csv
    path: str
    pixels: np.ndarray  # (size, size, 3) uint8, as the network sees it
    mask: np.ndarray | None
    note: str  # why there is no mask, or no standard view
    probabilities: np.ndarray  # (C,), calibrated where the model has a rule
    target: int
    decision: Decision
    status: str
    possible: list[str]  # the classes of the prediction set
    words: CellWords | None
    like: LikeThese | None  # the known cells that it is like; None of a model without


def explain_batch(
    rows: pd.DataFrame,
    batch: Answered,
    config: ExplainConfig,
    predictor: Predictor,
    methods: Sequence[Method],
    word_maps: Sequence[WordMap],
    folder: Path,
    known: KnownPictures | None = None,
) -> list[dict[str, Any]]:
    """The rows of one batch, a row for each image and method; its panels and maps are written.

    rows: number, path and label of the files in `batch`, which tells what is answered for them.
    word_maps: of a model with words.  known: pictures of the cells that the model knows, where it tells any.
    """
    network = predictor.network
    like = predictor.like_these(batch.outputs, batch.answers)
    cells, records = _read(rows, batch, like, config, network.classes)
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
        records += _measured(cells, heats[method.name], described, config, predictor)
    words = [cell.words for cell in cells if cell.words is not None]
    for one in word_maps:
        started = time.perf_counter()
        heats[one.name] = one.heat(images, words)
        seconds = (time.perf_counter() - started) / len(cells)
        described = {"method": one.name, "layer": " ".join(one.layers), "seconds": seconds}
        told = [one.word(cell) for cell in words]
        records += _measured(cells, heats[one.name], described, config, predictor, told)
    write_thumbnails(folder, cells[0].number, [cell.number for cell in cells], heats[methods[0].name])
    for index, cell in enumerate(cells):
        maps = {name: heat[index].numpy() for name, heat in heats.items()}
        shown = {
            **{method.name: maps[method.name] for method in methods},
            **{_heading(one.word(words[index])): maps[one.name] for one in word_maps},
        }
        strip = None
        if known is not None and cell.like is not None:
            strip = known_strip(cell.like, cell.words, cell.status, known.picture, known.with_words)
        write_picture(panel_file(folder, cell.number), panel(cell.pixels, shown, cell.decision, strip))
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
            records += _measured(cells, heat, {"method": name}, config, predictor)
    return records


def _read(
    rows: pd.DataFrame,
    batch: Answered,
    like: Sequence[LikeThese],
    config: ExplainConfig,
    classes: list[str],
) -> tuple[list[_Cell], list[dict[str, Any]]]:
    """The images that can be read, and a row for each that cannot."""
    cells: list[_Cell] = []
    failed = []
    files, answers = batch.files, batch.answers
    for number, path, label, reason in zip(
        rows.index, rows["path"], rows["label"], files.reasons, strict=True
    ):
        if reason:
            log.warning("%s: %s", path, reason)
            failed.append({"number": number, "path": path, "label": label, "note": reason})
            continue
        row = len(cells)
        pixels = files.pixels[row].permute(1, 2, 0).numpy()
        mask, note = _mask(path, files.sizes[row], config)
        if mask is not None:
            mask = placed_mask(mask, files.placements[row], len(pixels))
        if files.found[row] is False:
            note = "; ".join(filter(None, [note, NO_CELL]))
        predicted, probabilities = answers.labels[row], answers.probabilities[row]
        target = {"predicted": predicted, "true": label}.get(config.target, config.target)
        words = answers.words[row] if answers.words else None
        reasons = None if words is None else words.reasons
        decision = Decision(predicted, float(probabilities.max()), label, target, reasons=reasons)
        cells.append(
            _Cell(
                number,
                path,
                pixels,
                mask,
                note,
                probabilities,
                classes.index(target),
                decision,
                answers.status[row],
                answers.sets[row],
                words,
                like[row] if like else None,
            )
        )
    return cells, failed


def _heading(word: Word) -> str:
    """Of the heat for a word; in brackets where the attribute is not answered."""
    said = word.value if word.answered else f"({word.value})"
    return f"{word.attribute.replace('_', ' ')}: {said}"


def _stacked(cells: Sequence[_Cell], network: Network) -> Tensor:
    """(N, 3, H, W) uint8 on the network's device."""
    images = np.stack([cell.pixels for cell in cells])
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(network.device)


def _mask(path: str, shape: tuple[int, int], config: ExplainConfig) -> tuple[np.ndarray | None, str]:
    """The mask of an image, or None and why there is none."""
    if config.masks is None:
        return None, ""
    try:
        return read_mask(mask_path(path, config.masks), shape, photograph_and_box(path)[1]), ""
    except MaskError as problem:
        log.warning("%s", problem)
        return None, f"no mask: {problem.reason}"


def _measured(
    cells: Sequence[_Cell],
    heat: Tensor,
    described: dict[str, Any],
    config: ExplainConfig,
    predictor: Predictor,
    told: Sequence[Word] | None = None,
) -> list[dict[str, Any]]:
    """One row a cell for the heat (N, H, W) of one method.

    told: the words that it speaks for, whose rows have no measures of the class.
    """
    finite = heat.isfinite().all(dim=(1, 2))
    heat = heat.where(finite.view(-1, 1, 1), 0)
    measures: list[dict[str, float]] = [{} for _ in cells]
    if config.measure and told is None:
        targets = torch.tensor([cell.target for cell in cells])
        images = _stacked(cells, predictor.network)

        def classify(batch: Tensor) -> Tensor:
            return predictor.network_logits(batch).to(images.device)

        areas = deletion_insertion(classify, images, heat, targets, config.steps, config.batch_size)
        for measured, deletion, insertion in zip(measures, *areas, strict=True):
            measured |= {"deletion": float(deletion), "insertion": float(insertion)}
    records = []
    spoken_for = [(cell.decision.target, float(cell.probabilities[cell.target])) for cell in cells]
    if told is not None:
        spoken_for = [(word.value, word.probability) for word in told]
    for cell, one, sound, areas_of_cell, (target, probability) in zip(
        cells, heat, finite, measures, spoken_for, strict=True
    ):
        measured = areas_of_cell
        if cell.mask is not None:
            measured = measured | localisation(one.numpy(), cell.mask)
        empty = "" if one.any() else NO_HEAT if sound else NOT_FINITE
        if empty:  # without heat no pixel comes before another
            measured = {}
        notes = [cell.note, empty]
        records.append(
            {
                "number": cell.number,
                "path": cell.path,
                "label": cell.decision.true,
                "predicted": cell.decision.predicted,
                "status": cell.status,
                "set": SET_SEPARATOR.join(cell.possible),
                "probability": cell.decision.probability,
                "target": target,
                "target_probability": probability,
                **({} if cell.decision.reasons is None else reason_columns(cell.decision.reasons)),
                **({} if cell.like is None else like_columns(cell.like, cell.words)),
                **described,
                "note": "; ".join(filter(None, notes)),
                **measured,
            }
        )
    return records
