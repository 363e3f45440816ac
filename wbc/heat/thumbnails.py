"""Small pictures of classified images with their heat: computed when asked for, or kept from before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wbc.errors import ImageError
from wbc.heat.methods import Method
from wbc.heat.panels import Decision
from wbc.images.decode import decode
from wbc.images.prepare import Prepare
from wbc.network.network import Network
from wbc.utils.files import replacing

_SIDE = 112  # pixels of the heat that is kept; it is smooth, and enlarged where more are shown

Row = dict[Any, Any]  # path, label ("" where not known), predicted, probability, target
HeatOf = Callable[[Row], np.ndarray]  # a Row to its heat (H, W) >= 0, of any size


def explained_now(network: Network, method: Method) -> HeatOf:
    """Heat computed when it is first asked for."""
    found: dict[tuple[str, str], np.ndarray] = {}

    def heat_of(row: Row) -> np.ndarray:
        key = (row["path"], row["target"])
        if key not in found:
            images, _ = image_of(row["path"], network)
            heat = method.heat(images, torch.tensor([network.classes.index(row["target"])]))
            found[key] = _thumbnails(heat)[0].numpy()
        return found[key]

    return heat_of


def write_thumbnails(folder: Path, first: int, numbers: Sequence[int], heat: Tensor) -> None:
    """Keep heat (N, H, W) of the images of these `numbers`, small, until the sheet is drawn."""
    arrays = {str(number): one.numpy() for number, one in zip(numbers, _thumbnails(heat), strict=True)}
    with replacing(folder / "parts" / f"{first:08d}.npz") as beside:
        np.savez(beside, **arrays)


def explained_before(folder: Path) -> HeatOf:
    """Heat as `write_thumbnails` kept it, by the `number` of a row."""
    files: dict[int, Path] = {}
    for file in sorted((folder / "parts").glob("*.npz")):
        with np.load(file, allow_pickle=False) as arrays:
            files |= dict.fromkeys(map(int, arrays), file)

    def heat_of(row: Row) -> np.ndarray:
        with np.load(files[row["number"]], allow_pickle=False) as arrays:
            return arrays[str(row["number"])].astype(np.float32)

    return heat_of


def small_picture(
    row: Row, heat_of: HeatOf, prepare: Prepare, side: int
) -> tuple[np.ndarray, np.ndarray | str]:
    """The image as the network sees it, (side, side, 3) uint8, and its heat (side, side).

    An image that has gone since is white, with the reason in place of its heat.
    """
    try:
        pixels = replace(prepare, size_px=side)(decode(row["path"]))
    except ImageError as problem:
        return np.full((side, side, 3), 255, np.uint8), problem.reason
    return pixels, cv2.resize(heat_of(row), (side, side), interpolation=cv2.INTER_LINEAR)


def decision_of(row: Row) -> Decision:
    """What a row of such a table says."""
    return Decision(row["predicted"], row["probability"], row["label"], row["target"])


def image_of(path: str, network: Network) -> tuple[torch.Tensor, np.ndarray]:
    """One file as the network takes it, (1, 3, H, W) on its device, and as (H, W, 3) uint8."""
    pixels = network.prepare(decode(path))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].to(network.device), pixels


def _thumbnails(heat: Tensor) -> Tensor:
    """(N, H, W) to (N, _SIDE, _SIDE)."""
    return F.interpolate(heat[:, None].float(), size=(_SIDE, _SIDE), mode="area")[:, 0]
