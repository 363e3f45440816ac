"""The settings of `wbc export` as a typed object; values and their reasons stand in conf/export/."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from wbc.settings.paths import model_path
from wbc.settings.values import STRICT, Checkpoint, Count, Seed, one_of

# Beside the packages that write each, the one that computes it.
FORMATS = {
    "onnx": ["onnx", "onnxscript", "onnxruntime"],
    "openvino": ["openvino"],
    "torch": [],
    "keras": ["h5py"],
}
FLOAT32, INT8 = "float32", "int8"


@dataclass(config=STRICT, kw_only=True)
class ExportConfig:
    """Which model leaves, as what, and by which images it is compared."""

    checkpoint: Checkpoint
    format: Annotated[str, one_of(tuple(FORMATS))]
    precision: Annotated[str, one_of((FLOAT32, INT8))]
    images: Annotated[str, Field(examples=["val"])]
    compared: Count
    seed: Seed

    def with_absolute_paths(self) -> ExportConfig:
        """The same with paths that hold from any folder; `images` may be a split's name."""
        return replace(self, checkpoint=model_path(self.checkpoint))
