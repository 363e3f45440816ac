"""One phase of training: a fit with its own optimizer, from which the best epoch is kept and evaluated."""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from wbc.errors import ConfigError
from wbc.loading.datamodule import ImageData
from wbc.network.network import Network
from wbc.network.pretrained import read_tensors
from wbc.settings.layout import CACHE, best_checkpoint, last_checkpoint, phase_history
from wbc.settings.train import PHASES, Config, FitConfig
from wbc.training.average import AverageWeights
from wbc.training.best_epoch import best_of
from wbc.training.caching import FillCaches
from wbc.training.checkpoint_files import WholeFiles
from wbc.training.classifier import Classifier
from wbc.training.freeze import FreezeBackbone
from wbc.training.history import History, ended_while_gaining
from wbc.training.linear_baseline import LinearBaseline
from wbc.training.loggers import Loggers
from wbc.training.progress_bar import PhaseProgress
from wbc.training.schedule import BestAndLast, EarlyStop, KerasPlateau
from wbc.training.signals import StopWhenAsked, raise_if_asked
from wbc.words.attribute_loss import AttributeLoss

log = logging.getLogger(__name__)
logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(
    logging.WARNING
)  # tips and advertisements
warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")  # the frozen ones, as meant
warnings.filterwarnings("ignore", message=r"The `srun` command is available")  # one process is no mistake

# Training images, from which on batch-norms train where that is left open: with 170 frozen ones were better,
# with 2,491 worse (docs/results/few_cells.md, docs/results/raabin.md).
_ENOUGH_FOR_STATISTICS = 1_000
warnings.filterwarnings(
    "ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated"
)  # Lightning's own


@dataclass
class PhaseOutcome:
    """What a phase leaves: numbers for metrics.json, and its history."""

    summary: dict[str, Any]
    history: pd.DataFrame  # one row an epoch; `is_best` marks the one kept


def phases_to_run(config: Config) -> list[str]:
    """Which phases, in order: no head where `init_from` brings a trained one."""
    if config.init_from is not None and "finetune" in config.phase.run:
        return ["finetune"]
    return list(config.phase.run)


def run_phase(
    phase: str,
    config: Config,
    network: Network,
    data: ImageData,
    folder: Path,
    loggers: Loggers,
    then: str | None = None,
    attributes: AttributeLoss | None = None,
) -> PhaseOutcome:
    """Train `network` as `config.phase.<phase>` says and leave it at its best epoch's weights.

    Continues from `checkpoints/<phase>/last.ckpt` where there is one.  `then` names the phase that comes
    after, for which caches are filled on the way.  `attributes` are learnt beside the class.
    """
    fit: FitConfig = getattr(config.phase, phase)
    number = PHASES.index(phase)
    first_epoch = sum(getattr(config.phase, before).max_epochs for before in PHASES[:number])
    data.start_phase(first_epoch, fit.min_steps)
    classifier = Classifier(
        network,
        lr=fit.lr,
        label_smoothing=config.training.label_smoothing,
        l2=config.training.l2,
        adam_epsilon=config.training.adam_epsilon,
        seed=config.seed * len(PHASES) + number,
        attributes=attributes,
    )
    history = History(phase, phase_history(folder, phase))
    best = best_checkpoint(folder, phase)
    last = last_checkpoint(folder, phase)
    checkpoint = BestAndLast(best.parent, fit.monitor, fit.mode)
    caches = FillCaches(
        data,
        Path(config.cache_dir).expanduser() if config.cache_dir else folder / CACHE,
        config.cache_views,
        config.cache_limit_gb,
        config.as_plain()["augment"]["transforms"],
        None if then is None else _split(network, getattr(config.phase, then), data),
        config.runtime,
    )
    callbacks = [StopWhenAsked(), *_callbacks(fit, data), caches, history, checkpoint]
    linear = LinearBaseline(data) if phase == phases_to_run(config)[0] else None
    if linear is not None:
        callbacks.append(linear)
    if config.trainer.get("enable_progress_bar", True):
        callbacks.append(PhaseProgress(phase))
    shown_by = loggers.of_phase(phase, config.as_plain())
    if shown_by:
        callbacks.append(LearningRateMonitor(logging_interval="epoch"))
    trainer = _trainer(config, fit, callbacks, shown_by, folder)
    trainer.strategy.checkpoint_io = WholeFiles()
    resumed = last if last.is_file() else None
    if resumed:
        best_of(folder, phase)  # an error now, not after the last epoch
        log.info("%s: going on from %s", phase, resumed)
    device = trainer.strategy.root_device.type
    processes = "" if trainer.world_size == 1 else f", {trainer.world_size} processes"
    log.info("%s: on %s, precision %s%s", phase, device, trainer.precision, processes)
    if len(data.rows["val"]) < trainer.world_size:
        raise ConfigError(
            f"{trainer.world_size} processes cannot share {len(data.rows['val'])} validation images: "
            "give fewer trainer.devices or more images"
        )
    classifier.train()  # Lightning leaves modes as it finds them, and a loaded network comes for inference
    try:
        trainer.fit(classifier, datamodule=data, ckpt_path=resumed, weights_only=True)
        raise_if_asked()  # after the last batch
        frame = history.frame
        if not frame[fit.monitor].map(math.isfinite).all():
            raise ConfigError(
                f"{fit.monitor} was not finite in epoch {len(frame)}: training diverged; "
                f"lower phase.{phase}.lr"
            )
        content = read_tensors(best, mapped=True)  # the optimizer's state beside is not read
        classifier.load_state_dict(content["state_dict"])
        classifier.zero_grad()  # the last gradients take as much memory as all that trained
    except SystemExit:  # what Lightning makes of Ctrl-C, and of SIGTERM
        raise KeyboardInterrupt from None
    frame["is_best"] = frame["epoch"] == int(content["epoch"])
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    summary = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "trainable_parameters": trainable,
        "epochs": len(frame),
        "best_epoch": int(content["epoch"]) + 1,
        "may_gain_more": ended_while_gaining(frame, fit.max_epochs),
        "seconds": round(caches.seconds + history.seconds, 3),  # what filling the caches took included
        "cache_seconds": round(caches.seconds, 3),
        "precision": str(trainer.precision),
        "devices": trainer.world_size,
    }
    if linear is not None:
        summary["linear_classifier"] = linear.metrics  # None in all processes but the first
    return PhaseOutcome(summary, frame)


def _trains_batch_norm(fit: FitConfig, data: ImageData) -> bool:
    if fit.batch_norm != "auto":
        return fit.batch_norm == "trainable"
    return len(data.rows["train"]) >= _ENOUGH_FOR_STATISTICS


def _split(network: Network, fit: FitConfig, data: ImageData) -> int:
    return network.backbone.split_after(fit.unfreeze_last, _trains_batch_norm(fit, data))


def _callbacks(fit: FitConfig, data: ImageData) -> list[Callback]:
    callbacks: list[Callback] = [
        FreezeBackbone(fit.unfreeze_last, _trains_batch_norm(fit, data)),
        EarlyStop(fit.monitor, mode=fit.mode, patience=fit.patience, min_delta=0.0),
    ]
    if fit.plateau is not None:
        callbacks.append(KerasPlateau(fit.monitor, fit.mode, **vars(fit.plateau)))
    if fit.average is not None:
        callbacks.append(AverageWeights(**vars(fit.average)))
    return callbacks


def _trainer(
    config: Config, fit: FitConfig, callbacks: list[Callback], loggers: list[Logger], folder: Path
) -> Trainer:
    """ConfigError for a setting that Lightning refuses."""
    try:
        return Trainer(
            **instantiate(config.trainer),
            max_epochs=fit.max_epochs,
            callbacks=callbacks,
            logger=loggers,
            default_root_dir=folder,
            enable_model_summary=False,
            use_distributed_sampler=False,  # wbc.loading.datamodule.Views divides the images itself
            num_sanity_val_steps=0,  # its random numbers and metrics would differ on resume
            log_every_n_steps=1,
        )
    except (TypeError, ValueError, MisconfigurationException, InstantiationException) as error:
        raise ConfigError(f"the settings under trainer do not hold: {error}") from error
