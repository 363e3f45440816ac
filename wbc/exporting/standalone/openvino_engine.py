"""The network as OpenVINO computes it on a CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino


class Engine:
    """network.xml, with its weights network.bin, in `folder`."""

    def __init__(self, folder: Path) -> None:
        # Where bf16 is fast OpenVINO would choose it, and probabilities would have three digits.
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        self._compiled = openvino.Core().compile_model(folder / "network.xml", "CPU", settings)

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3, S, S) float32 of 0..255 to features (N, D) and logits (N, C)."""
        found = self._compiled(pixels)
        return found[0].copy(), found[1].copy()
