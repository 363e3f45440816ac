"""Which engine computes a network that does not change: torch, or a converted copy that proved itself."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from wbc.errors import ConfigError
from wbc.network.network import Network
from wbc.runtime.kept import kept_file, make_room
from wbc.runtime.openvino_engine import NAME, OpenVinoEngine, convert

log = logging.getLogger(__name__)

TORCH, AUTO = "torch", "auto"
BOUND = 1e-3  # of logits, absolute: a probability moves by less than five in ten thousand
VALUES_BOUND = 1e-4  # of a part's values, relative to the largest
BF16_BOUND = 2.0  # in bf16: how far from float32, of how far torch is in bf16
_MANY = 1_000  # passes, of which a small network saves what its conversion takes
_TIMED = 8  # images
_SLOWER = "slower_here"  # a file beside a conversion that did not pay


def settled(wish: str, passes: int) -> str:
    """`auto` as an engine by name, by the number of passes that the whole job takes.

    Not by the seconds of a batch: a job that was cut up or stopped, or is given again, shall take the same.
    """
    if wish != AUTO:
        return wish
    return NAME if passes >= _MANY and _installed() else TORCH


class Runtime:
    """Units `start` to `stop` of a network's backbone by the engine that `wish` names.

    By default all of them: from images to features.  `auto` takes another engine than torch for jobs of many
    passes.  The first batch is computed by torch too, which is what the converted network is held against: it
    is used where logits agree within BOUND, values on the way within VALUES_BOUND, and under `auto` where it
    is faster as well.  A conversion is kept for later runs.
    bf16: the passes are made under autocast to it.  So are the engine's, and it is used where it is at most
    BF16_BOUND times as far from float32 as torch is.
    Raises ConfigError for an engine that is not installed or cannot compute where the network lies.
    """

    def __init__(
        self,
        network: Network,
        wish: str = TORCH,
        start: int = 0,
        stop: int | None = None,
        bf16: bool = False,
    ) -> None:
        count = len(network.backbone.unit_names)
        self.network = network
        self.units = (start, count if stop is None else stop)
        self.whole = self.units == (0, count)
        self.wish = wish
        self.bf16 = bf16
        self.name = TORCH
        self._part = _Part(network, *self.units)
        self._compute: Callable[[Tensor], Tensor] | None = self._part
        self._possible = wish != TORCH
        installed = _installed()
        if wish == NAME and not installed:
            raise ConfigError(f"runtime={NAME} is not installed: pip install {NAME}, or give runtime=auto")
        if wish == NAME and network.device.type != "cpu":
            raise ConfigError(f"runtime={NAME} computes on a CPU: give device=cpu, or runtime=auto")
        if not installed or network.device.type != "cpu":
            self._possible = False

    def expect(self, images: int) -> None:
        """So many are to come, in the whole job."""
        if self._possible and settled(self.wish, images) != TORCH:
            self._compute = None

    def values(self, batch: Tensor) -> Tensor:
        """What the units make of (N, ...), without a graph.

        batch: (N, 3, S, S) of 0..255 where they are the first, else the values of the unit before; on the
        network's device.
        """
        with torch.no_grad():
            return self._first(batch) if self._compute is None else self._compute(batch)

    def _first(self, batch: Tensor) -> Tensor:
        self._compute = self._part
        self._possible = False  # decided for good
        expected = self._part(batch)
        path = kept_file(self.network, self.units, batch.shape[1:], NAME)
        slower = path.with_name(_SLOWER + ("_in_bf16" if self.bf16 else ""))
        if self.wish == AUTO and slower.exists():
            return expected
        try:
            engine = self._engine(batch, path)
            found = engine.values(batch)
        except Exception as error:  # whatever a converter says of a network that it does not know
            log.warning("%s cannot compute this network, torch does: %s", NAME, str(error).strip()[:300])
            return expected
        gap, bound = self._gap(found, expected, batch)
        if not gap <= bound:  # NaN too
            log.warning("%s is off by %.2g, and %.2g is allowed: torch computes", NAME, gap, bound)
            return expected
        torch_s, engine_s = (_seconds(one, batch[:_TIMED]) for one in (self._part, engine.values))
        if self.wish == AUTO and engine_s >= torch_s:
            log.info("torch computes: %s is no faster here", NAME)
            slower.touch()
            return expected
        kind = expected.dtype
        self.name = NAME
        self._compute = lambda values: engine.values(values).to(kind)
        told = (NAME, engine.version, torch_s / engine_s, gap, bound)
        log.info("%s %s computes, %.1f times as fast as torch; off by %.2g, and %.2g is allowed", *told)
        return found.to(kind)  # one engine for all values of a job

    def _engine(self, batch: Tensor, path: Path) -> OpenVinoEngine:
        if not path.exists():
            started = time.monotonic()
            log.info("converting the network for %s, once", NAME)
            with torch.autocast(batch.device.type, enabled=False):  # its casts would become part of the file
                convert(self._part, batch.float(), path)
            make_room(path)
            log.info("converted in %.0f s; it is kept for later runs", time.monotonic() - started)
        os.utime(path.parent)  # used last, removed last
        try:
            return OpenVinoEngine(path, torch.get_num_threads(), self.bf16)
        except RuntimeError:
            shutil.rmtree(path.parent)  # the next run converts anew
            raise

    def _gap(self, found: Tensor, expected: Tensor, batch: Tensor) -> tuple[float, float]:
        """How far the engine is off, and how far it may be."""
        if self.bf16:
            with torch.autocast(batch.device.type, enabled=False):
                exact = self._part(batch.float())
            engines, torchs = ((values.float() - exact).norm() / exact.norm() for values in (found, expected))
            return engines.item(), BF16_BOUND * torchs.item()
        if self.whole:
            logits = [self.network.classify(values) for values in (found, expected)]
            return (logits[0] - logits[1]).abs().max().item(), BOUND
        scale = max(expected.abs().max().item(), 1e-12)
        return (found - expected).abs().max().item() / scale, VALUES_BOUND


class _Part(nn.Module):
    """What is computed and converted: from pixels of 0..255, so that the file needs no preparation beside."""

    def __init__(self, network: Network, start: int, stop: int) -> None:
        super().__init__()
        self.network = network
        self.start, self.stop = start, stop

    def forward(self, batch: Tensor) -> Tensor:
        """As `Runtime.values`."""
        if self.start == 0:
            batch = self.network.preprocess(batch)
        return self.network.backbone.compute_units(batch, self.start, self.stop)


def _installed() -> bool:
    return importlib.util.find_spec(NAME) is not None


def _seconds(compute: Callable[[Tensor], Tensor], batch: Tensor) -> float:
    started = time.monotonic()
    compute(batch)
    return time.monotonic() - started
