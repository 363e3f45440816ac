"""Which arithmetic is fast on this machine and equally accurate."""

from __future__ import annotations

import torch

from wbc.errors import ConfigError

# Those in which weights, head and loss stay in float32.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


def resolve_precision(precision: str, accelerator: str) -> str:
    """Lightning's precision for `auto`, or one of PRECISIONS as it is; ConfigError for any other.

    bf16 is taken where the hardware multiplies it natively: CUDA from Ampere on, Apple's GPUs never, CPUs
    with AMX or AVX-512-BF16.  Elsewhere it is emulated, slower than float32.  Weights, head, loss and
    optimizer stay in float32 either way.
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
