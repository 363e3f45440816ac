"""Which engine computes a network that does not change: torch, or a converted copy that proved itself."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import shutil
import time
from collections.abc import Callable

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
_CONVERSION_S = 0.04  # a module of the network, on the slowest machine that was measured
_LOADING_S = 1.0  # of a conversion that is kept
_GAIN = 0.5  # share of torch's time that is saved at least, on machines that were measured
_TIMED = 8  # images
_MANY = 2_000  # passes, of which a small network saves what its conversion takes


def settled(wish: str, passes: int) -> str:
    """`auto` as an engine by name, by the number of passes: by times, a run would not give the same again."""
    if wish != AUTO:
        return wish
    return NAME if passes >= _MANY and _installed() else TORCH


class Runtime:
    """Units `start` to `stop` of a network's backbone by the engine that `wish` names.

    By default all of them: from images to features.  `auto` takes the engine that ends the job first.  The
    first batch is computed by torch too, which is what the converted network is held against: it is used
    where logits agree within BOUND, values on the way within VALUES_BOUND, and under `auto` where it is
    faster as well.  A conversion is kept for later runs; under `auto` it is made only where that is worth it
    for the images that are expected.
    Raises ConfigError for an engine that is not installed or cannot compute where the network lies.
    """

    def __init__(self, network: Network, wish: str = TORCH, start: int = 0, stop: int | None = None) -> None:
        count = len(network.backbone.unit_names)
        self.network = network
        self.units = (start, count if stop is None else stop)
        self.whole = self.units == (0, count)
        self.wish = wish
        self.name = TORCH
        self._part = _Part(network, *self.units)
        self._compute: Callable[[Tensor], Tensor] | None = self._part
        self._expected = 0
        self._possible = wish != TORCH
        installed = _installed()
        if wish == NAME and not installed:
            raise ConfigError(f"runtime={NAME} is not installed: pip install {NAME}, or give runtime=auto")
        if wish == NAME and network.device.type != "cpu":
            raise ConfigError(f"runtime={NAME} computes on a CPU: give device=cpu, or runtime=auto")
        if not installed or network.device.type != "cpu":
            self._possible = False

    def expect(self, images: int) -> None:
        """So many are to come, in all: a conversion may now be worth it."""
        if self._possible and images > self._expected:
            self._expected = images
            self._compute = None

    def values(self, batch: Tensor) -> Tensor:
        """What the units make of (N, ...), without a graph.

        batch: (N, 3, S, S) of 0..255 where they are the first, else the values of the unit before; on the
        network's device.
        """
        with torch.no_grad():
            return self._first(batch) if self._compute is None else self._compute(batch)

    def _first(self, batch: Tensor) -> Tensor:
        expected, torch_s = _timed(self._part, batch)
        self._compute = self._part
        try:
            engine = self._engine(batch, (self._expected - len(batch)) * torch_s / len(batch))
            if engine is None:
                return expected
            self._possible = False  # decided for good
            found = engine.values(batch)
        except Exception as error:  # whatever a converter says of a network that it does not know
            self._possible = False
            log.warning("%s cannot compute this network, torch does: %s", NAME, str(error).strip()[:300])
            return expected
        gap, bound = self._gap(found, expected)
        if not gap <= bound:  # NaN too
            log.warning("%s is off by %.2g, and %.2g is allowed: torch computes", NAME, gap, bound)
            return expected
        some = batch[:_TIMED]
        torch_s, engine_s = (_timed(one, some)[1] for one in (self._part, engine.values))
        if self.wish == AUTO and engine_s >= torch_s:
            log.info("torch computes: %s is no faster here", NAME)
            return expected
        self.name, self._compute = NAME, engine.values
        told = (NAME, engine.version, torch_s / engine_s, gap)
        log.info("%s %s computes, %.1f times as fast as torch; the two differ by %.1g", *told)
        return found  # one engine for all values of a job

    def _engine(self, batch: Tensor, torch_s: float) -> OpenVinoEngine | None:
        """The converted units; None where converting them would take longer than it saves of `torch_s`."""
        worth_s = _GAIN * torch_s if self.wish == AUTO else math.inf
        if worth_s < _LOADING_S:
            return None
        path = kept_file(self.network, self.units, batch.shape[1:], NAME)
        if not path.exists():
            cost = _CONVERSION_S * sum(1 for _ in self.network.backbone.modules())
            if worth_s < cost:
                return None
            started = time.monotonic()
            log.info("converting the network for %s, about %.0f s; it is kept for later runs", NAME, cost)
            convert(self._part, batch.float(), path)
            make_room(path)
            log.info("converted in %.0f s", time.monotonic() - started)
        os.utime(path.parent)  # used last, removed last
        try:
            return OpenVinoEngine(path, torch.get_num_threads())
        except RuntimeError:
            shutil.rmtree(path.parent)  # the next run converts anew
            raise

    def _gap(self, found: Tensor, expected: Tensor) -> tuple[float, float]:
        """How far the engine is off, and how far it may be."""
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


def _timed(compute: Callable[[Tensor], Tensor], batch: Tensor) -> tuple[Tensor, float]:
    started = time.monotonic()
    found = compute(batch)
    return found, time.monotonic() - started
