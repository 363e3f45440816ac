"""The callback that owns what is frozen: all of the backbone, or all but its last layers."""

from __future__ import annotations

import logging

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.nn.modules.batchnorm import _BatchNorm

from wbc.network.backbone import Backbone

log = logging.getLogger(__name__)


class FreezeBackbone(Callback):
    """Freezes the backbone, then unfreezes its last `unfreeze_last` layers (0: none), for one fit.

    Lightning's BackboneFinetuning changes the optimizer in mid-run, which breaks resuming and plateau
    schedules; here each phase is a fit of its own, so the optimizer never meets a parameter it must not
    move.  Acts in `setup`, before optimizer and DDP look at the parameters, and so on a resumed run too.
    The backbone itself keeps frozen modules in inference mode through `train()`.
    """

    def __init__(self, unfreeze_last: int, train_batch_norm: bool) -> None:
        self.unfreeze_last = unfreeze_last
        self.train_batch_norm = train_batch_norm

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Freeze; a test after the fit finds the network as it was trained."""
        if stage != "fit":
            return
        backbone: Backbone = pl_module.network.backbone  # type: ignore[union-attr, assignment]
        backbone.freeze(self.unfreeze_last, self.train_batch_norm)
        trainable = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
        norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm)]
        log.info(
            "backbone %s: %d units frozen, %s parameters to train, %d of %d batch norms frozen",
            backbone.name,
            len(backbone.frozen_units),
            f"{trainable:,}",
            sum(not any(p.requires_grad for p in module.parameters()) for module in norms),
            len(norms),
        )
