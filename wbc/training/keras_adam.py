"""Adam as Keras computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.optim import Adam


class KerasAdam(Adam):
    """PyTorch's Adam with `epsilon` where Keras has it: beside the root of the uncorrected second moment.

    PyTorch divides by `sqrt(v / (1 - beta2^t)) + eps`, Keras by `(sqrt(v) + eps) / sqrt(1 - beta2^t)`, the
    "epsilon hat" of Kingma & Ba 2015, section 2.  In the first steps Keras's is thirty times as large, which
    decides the step of every weight whose gradient is about as small as epsilon.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, epsilon: float) -> None:
        # Fused takes less than half the time of the default.
        super().__init__(params, lr=lr, betas=(0.9, 0.999), eps=epsilon, fused=True)
        # Fused optimizers offer to undo loss scaling themselves; Lightning then refuses to clip gradients.
        self._step_supports_amp_scaling = False
        for group in self.param_groups:
            group["keras_epsilon"] = epsilon
            group["steps"] = 0  # beside torch's own count, which lies on the device

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step; `eps` of each group becomes what PyTorch must add for Keras's result."""
        for group in self.param_groups:
            group["steps"] += 1
            group["eps"] = group["keras_epsilon"] / (1 - group["betas"][1] ** group["steps"]) ** 0.5
        return super().step(closure)
