"""The contact sheet of a table of classified images: their heat is computed for those that it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from wbc.images import decode, resize
from wbc.methods import Method
from wbc.network import Network
from wbc.panels import ContactSheet, Decision


def write_contact_sheet(path: Path, title: str, rows: pd.DataFrame, network: Network, method: Method) -> None:
    """Errors first in each class.  rows: path, label ("" where not known), predicted, probability, target."""
    sheet = ContactSheet(title, method.name)
    for row in rows.to_dict("records"):

        def look(row: dict[Any, Any] = row) -> tuple[np.ndarray, np.ndarray]:
            images, pixels = image_of(row["path"], network)
            target = torch.tensor([network.classes.index(row["target"])])
            return pixels, method.heat(images, target)[0].numpy()

        sheet.add(decision_of(row), look)
    sheet.write(path)


def decision_of(row: dict[Any, Any]) -> Decision:
    """What a row of such a table says."""
    return Decision(row["predicted"], row["probability"], row["label"], row["target"])


def image_of(path: str, network: Network) -> tuple[torch.Tensor, np.ndarray]:
    """One file as the network takes it, (1, 3, H, W) on its device, and as (H, W, 3) uint8."""
    pixels = resize(decode(path), network.image_size_px)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].to(network.mean.device), pixels
