"""A part of a network by OpenVINO: converted once, compiled for this processor."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wbc.utils.files import replacing

NAME = "openvino"


def convert(part: nn.Module, example: Tensor, path: Path) -> None:
    """Write `path` (.xml), and the weights beside it (.bin): what `part` computes of batches of any size.

    example: one batch.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # Not openvino.convert_model: it reports each conversion to its makers, from a process that it forks.
    frontend = FrontEndManager().load_by_framework("pytorch")
    modes = {module: module.training for module in part.modules()}
    try:
        with warnings.catch_warnings():  # of tracing: all sizes but the batch's become constants, as they are
            warnings.simplefilter("ignore")
            # Two: of a batch of one, some networks trace a fixed one.
            decoder = TorchScriptPythonDecoder(part, example_input=example[:1].repeat(2, 1, 1, 1))
            model = frontend.convert(frontend.load(decoder))
    finally:
        # OpenVINO leaves all in inference mode, where dropout does nothing.
        for module, training in modes.items():
            module.training = training
    model.reshape([-1, *example.shape[1:]])
    with replacing(path.with_suffix(".bin")) as weights, replacing(path) as graph:
        openvino.serialize(model, str(graph), str(weights))


class OpenVinoEngine:
    """A converted part on this machine's processor.

    bf16: computed in that, where the processor can; values come and go in float32.
    Raises RuntimeError for files that OpenVINO cannot read.
    """

    name = NAME

    def __init__(self, path: Path, threads: int, bf16: bool = False) -> None:
        import openvino

        self.version: str = openvino.__version__.partition("-")[0]
        settings: dict[str, Any] = {
            # Said in either case: where bf16 is fast OpenVINO would choose it.
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",  # all threads on one batch; others decode the next meanwhile
            # Bound to a core that another program holds, a thread would wait while the next core is free.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = _core().compile_model(path, "CPU", settings)

    def values(self, batch: Tensor) -> Tensor:
        """What the part makes of a batch on the CPU, float32."""
        array = batch.to(torch.float32).contiguous().numpy()
        return torch.from_numpy(self._compiled(array)[0].copy())


@cache
def _core() -> Any:
    """One for the whole process.

    Each has the process take signals on a stack of its own, and gives back the one before when it goes.  Of
    two that go in the order in which they came, the second gives back one that is gone: the next Ctrl-C ends
    the process with a segmentation fault.
    """
    import openvino

    return openvino.Core()
