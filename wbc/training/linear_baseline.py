"""What a linear classifier on the backbone's features reaches: the least that training must beat."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from wbc.loading.datamodule import ImageData
from wbc.loading.labelled_images import FrozenBatch
from wbc.metrics.classification import classification_metrics
from wbc.network.network import Network
from wbc.training.signals import raise_if_asked
from wbc.utils.progress import Progress

log = logging.getLogger(__name__)

_MOST_ROWS = 20_000  # of features: seconds on one core


class LinearBaseline(Callback):
    """Logistic regression on the features that a run starts with, measured on validation images.

    To come after `FillCaches`, whose values it reads: of each training image as many draws as are cached, or
    one that goes through the network here.
    """

    def __init__(self, data: ImageData) -> None:
        self.data = data
        self.metrics: dict[str, float] | None = None  # accuracy and macro_f1 on validation images

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Once a phase: a run that goes on has it from before."""
        # Of a run from before there were such figures, the features have changed since it began.
        if self.metrics is not None or trainer.current_epoch > 0 or not trainer.is_global_zero:
            return
        started = time.monotonic()
        network: Network = pl_module.network  # type: ignore[assignment]
        was_training = network.training
        network.eval()
        features, labels = self._features("train", network, trainer)
        seen, true = self._features("val", network, trainer)
        network.train(was_training)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 500 steps are as good as all
            classifier.fit(features.numpy(), labels.numpy())
        probabilities = torch.zeros(len(true), len(network.classes), dtype=torch.float64)
        # Its classes are those that training images show.
        probabilities[:, classifier.classes_] = torch.from_numpy(
            classifier.predict_proba(seen.double().numpy())
        )
        found = classification_metrics(probabilities, true, network.classes)
        self.metrics = {name: found[name] for name in ("accuracy", "macro_f1")}
        log.info(
            "a linear classifier on the frozen features: val_accuracy %.4f, val_macro_f1 %.4f; %.1f s",
            *self.metrics.values(),
            time.monotonic() - started,
        )

    def _features(self, name: str, network: Network, trainer: Trainer) -> tuple[Tensor, Tensor]:
        """Features (N, D) of all images of a set, and labels (N,)."""
        draws = self.data.frozen_draws if name == "train" and name in self.data.frozen else 1
        draws = max(1, min(draws, _MOST_ROWS // len(self.data.rows[name])))
        kept, labels = [], []
        order, loader = self.data.whole_loader(name)
        with Progress(f"features of {name}", "batch", draws * len(loader)) as bar, torch.no_grad():
            for draw in range(draws):
                order.set_epoch(draw)
                for batch in loader:
                    raise_if_asked()
                    values = batch[0].to(trainer.strategy.root_device)
                    with trainer.precision_plugin.forward_context():
                        if not isinstance(batch, FrozenBatch):
                            values = network.frozen(values)
                        kept.append(network.backbone.trainable_part(values).float().cpu())
                    labels.append(batch.labels)
                    bar.update()
        return torch.cat(kept), torch.cat(labels)

    def state_dict(self) -> dict[str, Any]:
        """The figures, once they are there."""
        return {"metrics": self.metrics}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        self.metrics = state_dict["metrics"]
