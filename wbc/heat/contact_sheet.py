"""The contact sheet of a table of classified images: their heat is computed for those that it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from wbc.heat.methods import Method
from wbc.heat.panels import ContactSheet, Decision
from wbc.images.decode import ImageError, decode
from wbc.images.prepare import Prepare
from wbc.network.network import Network
from wbc.utils.files import replacing

_SIDE = 112  # pixels, a little more than the sheet shows


Row = dict[Any, Any]  # path, label ("" where not known), predicted, probability, target


def write_contact_sheet(
    path: Path,
    title: str,
    method: str,
    rows: pd.DataFrame,
    heat_of: Callable[[Row, np.ndarray], np.ndarray],
    prepare: Prepare,
) -> None:
    """Errors first in each class, images as the network sees them.

    heat_of: a Row of `rows` and its pixels (side, side, 3) to (side, side).

    An image that has gone since is shown as such.
    """
    sheet = ContactSheet(title, method)
    small = replace(prepare, size_px=_SIDE)
    for row in rows.to_dict("records"):

        def look(row: Row = row) -> tuple[np.ndarray, np.ndarray | str]:
            try:
                pixels = small(decode(row["path"]))
            except ImageError as problem:
                return np.full((_SIDE, _SIDE, 3), 255, np.uint8), problem.reason
            return pixels, heat_of(row, pixels)

        sheet.add(decision_of(row), look)
    sheet.write(path)


def explained_now(network: Network, method: Method) -> Callable[[Row, np.ndarray], np.ndarray]:
    """Heat computed when it is asked for."""

    def heat_of(row: Row, pixels: np.ndarray) -> np.ndarray:
        images, _ = image_of(row["path"], network)
        heat = method.heat(images, torch.tensor([network.classes.index(row["target"])]))
        return _thumbnails(heat)[0].numpy()

    return heat_of


def write_thumbnails(folder: Path, first: int, numbers: Sequence[int], heat: Tensor) -> None:
    """Keep heat (N, H, W) of the images of these `numbers`, small, until the sheet is drawn."""
    arrays = {str(number): one.numpy() for number, one in zip(numbers, _thumbnails(heat), strict=True)}
    with replacing(folder / "parts" / f"{first:08d}.npz") as beside:
        np.savez(beside, **arrays)


def explained_before(folder: Path) -> Callable[[Row, np.ndarray], np.ndarray]:
    """Heat as `write_thumbnails` kept it."""
    files: dict[int, Path] = {}
    for file in sorted((folder / "parts").glob("*.npz")):
        with np.load(file, allow_pickle=False) as arrays:
            files |= dict.fromkeys(map(int, arrays), file)

    def heat_of(row: Row, pixels: np.ndarray) -> np.ndarray:
        with np.load(files[row["number"]], allow_pickle=False) as arrays:
            return arrays[str(row["number"])].astype(np.float32)

    return heat_of


def _thumbnails(heat: Tensor) -> Tensor:
    """(N, H, W) to (N, _SIDE, _SIDE)."""
    return F.interpolate(heat[:, None].float(), size=(_SIDE, _SIDE), mode="area")[:, 0]


def decision_of(row: Row) -> Decision:
    """What a row of such a table says."""
    return Decision(row["predicted"], row["probability"], row["label"], row["target"])


def image_of(path: str, network: Network) -> tuple[torch.Tensor, np.ndarray]:
    """One file as the network takes it, (1, 3, H, W) on its device, and as (H, W, 3) uint8."""
    pixels = network.prepare(decode(path))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].to(network.device), pixels
