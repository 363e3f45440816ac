"""Which arithmetic is fast on this machine and equally accurate."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

import torch

from wbc.errors import ConfigError
from wbc.network.network import Network
from wbc.settings import run_folder
from wbc.settings.train import Config
from wbc.utils.durations import in_words
from wbc.utils.files import read_json, write_json

log = logging.getLogger(__name__)

# Those in which weights, head and loss stay in float32.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


def resolve_precision(precision: str, accelerator: str) -> str:
    """Lightning's precision for `auto`, or one of PRECISIONS as it is; ConfigError for any other.

    bf16 is taken where the hardware multiplies it natively: CUDA from Ampere on, Apple's GPUs never, CPUs
    with AMX or AVX-512-BF16 (a run then measures, see `forward_ms`).  Elsewhere it is emulated, slower than
    float32.  Weights, head, loss and optimizer stay in float32 either way.
    """
    if precision != "auto":
        if str(precision) not in PRECISIONS:
            raise ConfigError(f"trainer.precision={precision}: expected auto, {', '.join(PRECISIONS)}")
        return precision
    on_cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if on_cuda:
        fast = torch.cuda.get_device_capability()[0] >= 8
    else:
        on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.backends.mps.is_available())
        # torch has no public name for either yet, and its older releases lack some.
        checks = [
            getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        ]
        fast = on_cpu and any(check is not None and check() for check in checks)
    return "bf16-mixed" if fast else "32-true"


def forward_ms(network: Network, batch_size: int = 4, rounds: int = 4) -> dict[str, float]:
    """Milliseconds an image of a forward pass on the CPU in bf16 and in float32, by Lightning's names.

    A processor that multiplies bf16 natively is not always faster with it: EfficientNetV2-L took 0.6 times
    as long as in float32 on one (`benchmarks/train_step.py`) and 1.3 times on another
    (`benchmarks/forward.py`).  Measured for all phases together, since they share frozen values.
    """
    side = network.image_size_px
    images = torch.zeros(batch_size, 3, side, side, dtype=torch.uint8)
    seconds: dict[str, list[float]] = {"bf16-mixed": [], "32-true": []}
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for _ in range(1 + rounds):
            for name, passes in seconds.items():
                with torch.autocast("cpu", torch.bfloat16, enabled=name == "bf16-mixed"):
                    started = time.perf_counter()
                    network(images)
                    passes.append(time.perf_counter() - started)
    network.train(was_training)
    # The fastest, for other programs only ever slow a pass down; the first one makes oneDNN's kernels.
    return {name: 1000 * min(passes) / batch_size for name, passes in seconds.items()}


def faster_precision(milliseconds: dict[str, float]) -> str:
    """The faster of `forward_ms`; bf16 unless float32 gains a tenth, so that noise does not decide."""
    return "32-true" if 1.1 * milliseconds["32-true"] < milliseconds["bf16-mixed"] else "bf16-mixed"


def with_precision(config: Config, network: Network, folder: Path) -> Config:
    """`config` with the precision that `auto` stands for; measured once, so that a resumed run keeps it."""
    trainer = config.trainer
    accelerator = trainer.get("accelerator", "auto")
    precision = resolve_precision(trainer.get("precision", "auto"), accelerator)
    on_cpu = accelerator == "cpu" or not torch.cuda.is_available()
    if on_cpu and precision == "bf16-mixed" and trainer.get("precision", "auto") == "auto":
        file = folder / "precision.json"
        if run_folder.is_first_rank() and not file.exists():
            milliseconds = forward_ms(network)
            chosen = faster_precision(milliseconds)
            log.info("precision %s, the faster one here: an image takes %s", chosen, _each(milliseconds))
            write_json(file, {"precision": chosen, "forward_ms_per_image": milliseconds})
        run_folder.wait_for(file)
        precision = read_json(file)["precision"]
    return replace(config, trainer={**trainer, "precision": precision})


def _each(milliseconds: dict[str, float]) -> str:
    return ", ".join(f"{in_words(value / 1000)} in {name}" for name, value in milliseconds.items())
