"""The network as a file that another engine computes: pixels in, features and logits out."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from wbc.errors import ConfigError
from wbc.network.network import Network
from wbc.runtime.openvino_engine import convert
from wbc.settings.export import FORMATS
from wbc.utils.modules import missing_modules

_NAMES = {"onnx": "network.onnx", "openvino": "network.xml", "torch": "network.pt2"}


def check_installed(kind: str) -> None:
    """Raise ConfigError where a package that writes or computes `kind` is not installed."""
    if missing := missing_modules(FORMATS[kind]):
        others = ", ".join(one for one in FORMATS if not missing_modules(FORMATS[one]))
        raise ConfigError(
            f"format={kind} needs {' and '.join(missing)}: pip install {' '.join(missing)}, or give a format "
            f"for which all is there: {others}"
        )


def write_graph(network: Network, kind: str, folder: Path) -> None:
    """Write `network` as `kind` into `folder`: it takes (N, 3, S, S) float32 of 0..255, whatever N is."""
    graph = _Graph(network).eval()
    size = network.image_size_px
    example = torch.zeros(2, 3, size, size)  # two: of a batch of one, a fixed one is traced
    path = folder / _NAMES[kind]
    if kind == "openvino":
        convert(graph, example, path)
        return
    any_number = ({0: torch.export.Dim("images")},)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch says to itself
        if kind == "torch":
            torch.export.save(torch.export.export(graph, (example,), dynamic_shapes=any_number), path)
            return
        try:
            torch.onnx.export(
                graph,
                (example,),
                path,
                input_names=["pixels"],
                output_names=["features", "logits"],
                dynamic_shapes=any_number,
                external_data=False,
                dynamo=True,
                verbose=False,
            )
        except (OSError, MemoryError):
            raise
        except Exception as error:  # releases of these that do not go together fail in ways of their own
            packages = ", ".join(
                f"{name} {version(name)}" for name in ("torch", "onnxscript", "onnx-ir", "onnx")
            )
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]
            raise ConfigError(
                f"format=onnx cannot be written by {packages} ({reason}): install others that go together, "
                "as those of constraints.txt do from Python 3.11 on"
            ) from error


class _Graph(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, S, S) to features (N, D) and logits (N, C)."""
        features = self.network.features(pixels)
        return features, self.network.head(features)
