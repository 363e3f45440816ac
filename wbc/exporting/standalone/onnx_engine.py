"""The network as ONNX Runtime computes it on a CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime


class Engine:
    """network.onnx in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._session = onnxruntime.InferenceSession(
            str(folder / "network.onnx"), providers=["CPUExecutionProvider"]
        )

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3, S, S) float32 of 0..255 to features (N, D) and logits (N, C)."""
        features, logits = self._session.run(["features", "logits"], {"pixels": pixels})
        return features, logits
