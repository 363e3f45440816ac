"""The callback that fills the caches of a phase before its first epoch, within the room they may take."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import albumentations
import cv2
import timm
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from wbc.datasets.check_cache import stamp
from wbc.loading.activations import ActivationStore, content_key
from wbc.loading.datamodule import ImageData
from wbc.loading.decoded import DecodedImages
from wbc.loading.epoch_sampler import EpochSampler
from wbc.loading.labelled_images import FrozenImages
from wbc.network.network import Network
from wbc.network.weights_key import weights_key
from wbc.runtime.runtime import TORCH, Runtime, settled
from wbc.utils.progress import Progress

log = logging.getLogger(__name__)

_CONVERTED = {"32-true": False, "bf16-mixed": True}  # precisions of converted networks, and whether in bf16


class FillCaches(Callback):
    """Decodes images once, and computes the frozen part of the network once for every draw of an image.

    Validation images are cached exactly as they would be computed.  Training images get `draws` draws of the
    augmentation each, used in turn; with 0 they are augmented anew in every epoch.  What finds
    no room within `limit_gb` is computed anew each time, and the log says so.  `augmentation` is the plain
    description of what `data` does to training images.

    `runtime` computes the draws of training images; validation images get what an epoch would compute.
    `next_split` is where the backbone will be divided in the next phase.  The values there lie on the way to
    those of this phase: they are kept for it, and the layers before them are not computed a second time.
    """

    def __init__(
        self,
        data: ImageData,
        folder: Path,
        draws: int,
        limit_gb: float,
        augmentation: list[Any],
        next_split: int | None = None,
        runtime: str = TORCH,
    ) -> None:
        self.data = data
        self.folder = folder
        self.draws = draws
        self.limit_gb = limit_gb
        self.augmentation = augmentation
        self.next_split = next_split
        self.runtime = runtime
        self.seconds = 0.0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """When the backbone is frozen and on its device, and before the loaders are asked for."""
        started = time.monotonic()
        network: Network = pl_module.network  # type: ignore[assignment]
        split = network.backbone.split
        self._room = self.limit_gb * 1e9
        if trainer.num_nodes > 1:
            log.info("nothing is cached: the machines that train together may not share a disk")
            return
        self._keep_decoded(trainer)
        stops = [split] if split else []
        if self.next_split is not None and 0 < self.next_split < split:
            stops = [self.next_split, split]
        keys = {stop: weights_key(network.backbone, stop) for stop in stops}
        self.data.frozen_draws = self.draws
        for name in ["val", *(["train"] if self.draws else [])]:
            store: ActivationStore | None = None
            start = 0
            for stop in stops:
                store = self._stored(name, (start, stop), keys[stop], store, trainer, network)
                start = stop if store is not None else 0  # where there is no room, from the images again
            if store is not None:
                self.data.frozen[name] = store
        self.seconds = time.monotonic() - started

    def _keep_decoded(self, trainer: Trainer) -> None:
        """Give every set a file of decoded pixels where there is room."""
        for name, decoded in self.data.decoded.items():
            layout = (len(decoded.paths), decoded.prepare.size_px)
            size = DecodedImages.size_bytes(*layout)
            file = self.folder / f"decoded-{self._files_key(name)}.pixels"
            if self._allocated(
                trainer, f"decoded {name} images", size, DecodedImages.allocate, file, *layout
            ):
                self.data.decoded[name] = DecodedImages(decoded.paths, decoded.prepare, file)

    def _files_key(self, name: str) -> str:
        stamps = [(path, *stamp(path)) for path in self.data.decoded[name].paths]
        return content_key(files=stamps, prepare=self.data.prepare.key)

    def _stored(
        self,
        name: str,
        units: tuple[int, int],
        weights: str,
        source: ActivationStore | None,
        trainer: Trainer,
        network: Network,
    ) -> ActivationStore | None:
        """The values of one set after the units before `units[1]`, built if there are none of that content.

        `source` holds the values before unit `units[0]`; None where they come from the images.
        """
        draws = self.draws if name == "train" else 1
        wish = TORCH
        in_bf16 = _CONVERTED.get(str(trainer.precision))
        if name == "train" and in_bf16 is not None and network.device.type == "cpu":
            wish = settled(self.runtime, draws * len(self.data.rows[name]))
        key = content_key(
            weights=weights,
            preprocessing=[network.mean.flatten().tolist(), network.std.flatten().tolist()],
            files=self._files_key(name),
            precision=str(trainer.precision),
            device=trainer.strategy.root_device.type,
            releases=[torch.__version__, timm.__version__, albumentations.__version__, cv2.__version__],
            # What a batch computes depends a little on its size, and evaluation is to be exact.
            batch=[self.data.batch_size, trainer.world_size],
            augmented=[self.augmentation, self.data.seed, draws] if name == "train" else None,
            runtime=wish,
        )
        path = self.folder / f"frozen-{key}.values"
        found = ActivationStore.opened(path, key)
        if found is not None:
            log.info("frozen values of %s: found in %s", name, self.folder)
            return found
        order = self.data.order(name, shuffle=False, first_epoch=0)
        if source is None:
            loader = self.data.image_loader(name, order, persistent=draws > 1)
        else:
            loader = self.data.frozen_loader(FrozenImages(self.data.images(name), source, draws), order)
        # Runs that share a cache_dir may build the same values at once, each in a file of its own.
        part = path.with_suffix(f".{trainer.strategy.broadcast(uuid.uuid4().hex)}.part")
        runtime = Runtime(network, wish, *units, bf16=bool(in_bf16))
        store = self._fill(part, name, draws, order, loader, runtime, trainer)
        if store is None:
            return None
        store.flush()
        trainer.strategy.barrier()  # every rank has written its rows
        if trainer.is_global_zero:
            store.complete(path, key)
            self.data.cache_files |= {path, path.with_suffix(".json")}
        trainer.strategy.barrier()
        return ActivationStore.opened(path, key)

    def _fill(
        self,
        part: Path,
        name: str,
        draws: int,
        order: EpochSampler,
        loader: DataLoader[Any],
        runtime: Runtime,
        trainer: Trainer,
    ) -> ActivationStore | None:
        """Compute every draw of this rank's images and write it to `part`; None where it finds no room."""
        store: ActivationStore | None = None
        title = f"frozen values of {name}"
        runtime.expect(draws * order.images)
        bar = Progress(title, "batch", draws * len(loader), shown=trainer.is_global_zero)
        with bar, torch.no_grad(), trainer.precision_plugin.forward_context():
            for draw in range(draws):
                order.set_epoch(draw)
                for batch in loader:
                    values = batch[0].to(trainer.strategy.root_device)  # images, or values of earlier units
                    values = runtime.values(values).cpu()
                    if store is None:
                        rows, shape = draws * order.images, values.shape[1:]
                        size = ActivationStore.size_bytes(rows, shape, values.dtype)
                        layout = (part, rows, shape, values.dtype)
                        if not self._allocated(trainer, title, size, ActivationStore.allocate, *layout):
                            return None
                        store = ActivationStore(*layout, write=True)
                    store.put((draw * order.images + batch.indices).tolist(), values)
                    bar.update()
        return store

    def _allocated(
        self, trainer: Trainer, what: str, size: int, allocate: Callable[..., None], file: Path, *layout: Any
    ) -> bool:
        """Let the first rank reserve `size` bytes for `file`; False, for all ranks, if there is no room."""
        problem = None
        if trainer.is_global_zero:
            try:
                if size > self._room:
                    raise OSError(
                        f"they take {size / 1e9:.2f} GB, and cache_limit_gb leaves {self._room / 1e9:.2f} GB"
                    )
                file.parent.mkdir(parents=True, exist_ok=True)
                self.data.cache_files.add(file)
                allocate(file, *layout)
            except OSError as error:
                problem = str(error)
                log.warning("%s are not cached: %s", what, problem)
                file.unlink(missing_ok=True)
        problem = trainer.strategy.broadcast(problem)
        self._room -= 0 if problem else size
        return problem is None
