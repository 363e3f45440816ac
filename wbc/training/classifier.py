"""The LightningModule: loss, metrics and optimizer around a `Network`, and nothing else."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from wbc.loading.epoch_sampler import mixed_seed
from wbc.loading.labelled_images import PADDING, Batch, FrozenBatch
from wbc.metrics.classification import epoch_metrics
from wbc.network.network import DESCRIPTION_KEY, Network
from wbc.training.keras_adam import KerasAdam
from wbc.words.attribute_loss import AttributeLoss


class Classifier(LightningModule):
    """Trains the parameters of `network` that require a gradient.

    The loss is cross-entropy against smoothed targets plus the head's L2 penalty, in validation too, as
    Keras reports it.  In training that of `attributes` is added, where there are any: validation chooses by
    the class alone.  `seed` fixes dropout and stochastic depth, batch by batch.
    """

    def __init__(
        self,
        network: Network,
        *,
        lr: float,
        label_smoothing: float,
        l2: float,
        adam_epsilon: float,
        seed: int,
        attributes: AttributeLoss | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.lr = lr
        self.label_smoothing = label_smoothing
        self.l2 = l2
        self.adam_epsilon = adam_epsilon
        self.seed = seed
        self.attributes = attributes
        self.configure_metrics()

    def configure_metrics(self) -> None:
        """Accuracy and macro-F1 for training and validation."""
        classes = len(self.network.classes)
        self.train_metrics = epoch_metrics(classes, "train_")
        self.val_metrics = epoch_metrics(classes, "val_")

    def configure_optimizers(self) -> Optimizer:
        """Adam over what is not frozen."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return KerasAdam(parameters, lr=self.lr, epsilon=self.adam_epsilon)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Smoothed cross-entropy plus L2 penalty, a scalar.  logits (N, C), labels (N,)."""
        cross_entropy = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        return cross_entropy + self.network.head.l2_penalty(self.l2)

    def forward(self, batch: Batch | FrozenBatch) -> Tensor:
        """Logits (N, C), from images or from what the frozen part made of them."""
        return self.network.classify(self.features(batch))

    def features(self, batch: Batch | FrozenBatch) -> Tensor:
        """Features (N, D), likewise."""
        if isinstance(batch, FrozenBatch):
            return self.network.backbone.trainable_part(batch.values)
        return self.network.features(batch.images)

    def training_step(self, batch: Batch | FrozenBatch, batch_idx: int) -> Tensor:
        """One batch's loss."""
        # Loaders draw random numbers too, and in another order after a resume.
        torch.manual_seed(mixed_seed(self.seed, self.current_epoch, batch_idx, self.global_rank))
        features = self.features(batch)
        logits = self.network.classify(features)
        loss = self.loss(logits, batch.labels)
        if self.attributes is not None:
            loss = loss + self.attributes(features, batch.indices)
        self.train_metrics.update(logits.detach(), batch.labels)
        self.log(
            "train_loss",
            loss,
            on_step=False,
            on_epoch=True,
            prog_bar=True,
            batch_size=len(batch.labels),
            sync_dist=True,
        )
        self.log_dict(self.train_metrics, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch | FrozenBatch, batch_idx: int) -> None:
        """Update the epoch's metrics with the rows that count."""
        counted = batch.labels != PADDING
        logits = self(batch)[counted]
        labels = batch.labels[counted]
        if len(labels) == 0:
            return
        self.val_metrics.update(logits, labels)
        self.log(
            "val_loss",
            self.loss(logits, labels),
            on_epoch=True,
            prog_bar=True,
            batch_size=len(labels),
            sync_dist=True,
        )
        self.log_dict(self.val_metrics, on_epoch=True, prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let the network be loaded from any training checkpoint."""
        checkpoint[DESCRIPTION_KEY] = self.network.describe()
