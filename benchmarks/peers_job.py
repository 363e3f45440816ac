"""What a tool is asked to do in `peers.py`, and what it answers.

Only the standard library: every environment imports it.  Each tool is a script that is started as
`<python> <script> <job.json> <answer.json>`.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PHASES = ("head", "finetune")  # the backbone frozen, then its last layers unfrozen


@dataclass
class Job:
    """The same for every tool.  Folders hold train/<class>, val/<class> and, to be predicted, <class>."""

    started: float  # time.time() before the process
    classes: list[str]  # in the order of their folders
    images: str
    predict: str
    scratch: str  # for checkpoints and the like; removed afterwards
    backbone: str  # by its name in timm, or in keras.applications
    weights: str | None  # a .safetensors file of timm's key names; None: random
    unfrozen: list[str]  # timm's modules that fine-tuning unfreezes
    unfreeze_last: int  # the same as a number of Keras's layers
    image_size_px: int
    batch_size: int
    predict_batch_size: int
    epochs: int  # of each phase
    lr: dict[str, float]  # by phase
    head_units: list[int]
    dropout: float
    label_smoothing: float
    options: dict[str, Any] = field(default_factory=dict)  # of this row alone

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


class EpochClock:
    """Seconds of each epoch, from the end of the one before; the first counts from the call that trains."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def start(self) -> None:
        self._last = time.perf_counter()

    def epoch_ended(self) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now


@dataclass
class Answer:
    """What one process found."""

    precision: str
    versions: dict[str, str]
    phases: dict[str, dict[str, Any]] = field(default_factory=dict)  # epoch_seconds, cache_seconds
    trained_s: float = 0.0  # from the start of the process to the end of training
    predict_s: float = 0.0  # from the folder to a label for each file
    labels: dict[str, str] = field(default_factory=dict)  # file -> predicted class

    def phase(self, name: str, clock: EpochClock) -> None:
        """A phase of a tool that keeps nothing between epochs."""
        self.phases[name] = {"epoch_seconds": clock.seconds, "cache_seconds": 0.0}

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def read_arguments() -> tuple[Job, Path]:
    """The job, and where the answer goes."""
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return Job(**content), Path(sys.argv[2])


def installed(*packages: str) -> dict[str, str]:
    """Their releases in this environment."""
    return {name: importlib.metadata.version(name) for name in packages}
