"""The network as torch computes it, from a file that holds no code of wbc or timm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch


class Engine:
    """network.pt2 in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._network = torch.export.load(folder / "network.pt2").module()

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3, S, S) float32 of 0..255 to features (N, D) and logits (N, C)."""
        with torch.inference_mode():
            features, logits = self._network(torch.from_numpy(pixels))
        return features.numpy(), logits.numpy()
