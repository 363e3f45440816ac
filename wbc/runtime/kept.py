"""Where converted networks are kept between runs: a folder each, named by all that decides what is in it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from wbc.network.network import Network
from wbc.network.weights_key import weights_key

_MOST_BYTES = 2 * 10**9  # four of EfficientNetV2-L, or a hundred small networks
_LAYOUT = 1  # of what is converted


def kept_file(network: Network, units: tuple[int, int], shape: Sequence[int], engine: str) -> Path:
    """Where these units of the network, for batches of this shape, lie as `engine` reads them, or would."""
    kept_in = Path(os.environ.get("WBC_CACHE", "~/.cache/wbc")).expanduser()  # as checks_dir in conf/
    scaling = [values.flatten().tolist() for values in (network.mean, network.std)]
    weights = weights_key(network.backbone, units[1])
    releases = torch.__version__, importlib.metadata.version(engine)
    decisive = (_LAYOUT, engine, releases, weights, scaling, units, tuple(shape))
    return kept_in / "runtime" / hashlib.sha256(repr(decisive).encode()).hexdigest()[:32] / "part.xml"


def make_room(kept: Path) -> None:
    """Remove those that were used longest ago, until all but `kept` take no more than 2 GB."""
    folders = sorted(
        (one for one in kept.parent.parent.iterdir() if one.is_dir() and one != kept.parent),
        key=lambda one: one.stat().st_mtime,
        reverse=True,
    )
    taken = 0
    for folder in folders:
        taken += sum(file.stat().st_size for file in folder.iterdir())
        if taken > _MOST_BYTES:
            shutil.rmtree(folder, ignore_errors=True)
