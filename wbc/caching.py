"""The callback that fills the caches of a phase before its first epoch, within the room they may take."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from tqdm import tqdm

from wbc.activations import ActivationStore, content_key, frozen_weights_key
from wbc.check_cache import stamp
from wbc.data import CellData
from wbc.decoded import DecodedImages
from wbc.network import Network

log = logging.getLogger(__name__)


class FillCaches(Callback):
    """Decodes images once, and computes the frozen part of the network once for every view of an image.

    Evaluated sets are cached exactly as they would be computed.  Training images get `views` views, drawn
    afresh for each image and used in turn; with 0 views they are augmented anew in every epoch.  What finds
    no room within `limit_gb` is computed anew each time, and the log says so.  `augmentation` is the plain
    description of what `data` does to training images.
    """

    def __init__(
        self, data: CellData, folder: Path, views: int, limit_gb: float, keep: bool, augmentation: list[Any]
    ) -> None:
        self.data = data
        self.folder = folder
        self.views = views
        self.limit_gb = limit_gb
        self.keep = keep
        self.augmentation = augmentation
        self.made: list[Path] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """When the backbone is frozen and on its device, and before the loaders are asked for."""
        network: Network = pl_module.network  # type: ignore[assignment]
        self._room = self.limit_gb * 1e9
        self._keep_decoded(trainer)
        if not network.backbone.frozen_units:
            return
        weights = frozen_weights_key(network.backbone)
        self.data.frozen_views = self.views
        for name in [*self.data.evaluated, *(["train"] if self.views else [])]:
            store = self._stored(name, weights, trainer, network)
            if store is not None:
                self.data.frozen[name] = store

    def remove(self) -> None:
        """Delete the frozen values, at the end of the phase, unless they are kept."""
        self.data.frozen = {}
        if not self.keep:
            for path in self.made:
                path.unlink(missing_ok=True)

    def _keep_decoded(self, trainer: Trainer) -> None:
        """Give every set a file of decoded pixels where there is room."""
        for name, decoded in self.data.decoded.items():
            size = DecodedImages.size_bytes(len(decoded.paths), decoded.image_size_px)
            file = self.folder / f"decoded-{self._files_key(name)}.pixels"
            if self._has_room(f"decoded {name} images", size, present=file.exists()):
                arguments = (file, len(decoded.paths), decoded.image_size_px)
                if _allocated(trainer, DecodedImages.allocate, *arguments):
                    self.data.decoded[name] = DecodedImages(decoded.paths, decoded.image_size_px, file)

    def _files_key(self, name: str) -> str:
        stamps = [(path, *stamp(path)) for path in self.data.decoded[name].paths]
        return content_key(files=stamps, image_size_px=self.data.image_size_px)

    def _stored(self, name: str, weights: str, trainer: Trainer, network: Network) -> ActivationStore | None:
        """The frozen values of one set, built if there are none of that content yet."""
        views = self.views if name == "train" else 1
        key = content_key(
            weights=weights,
            preprocessing=[network.mean.flatten().tolist(), network.std.flatten().tolist()],
            files=self._files_key(name),
            precision=str(trainer.precision),
            device=trainer.strategy.root_device.type,
            torch=torch.__version__,
            # Training order is drawn anew, but what a batch computes depends a little on its size.
            batch=[self.data.batch_size, trainer.world_size],
            augmented=[self.augmentation, self.data.view_seed, views] if name == "train" else None,
        )
        path = self.folder / f"frozen-{key}.values"
        self.made += [path, path.with_suffix(".json")]
        found = ActivationStore.opened(path, key)
        if found is not None:
            log.info("frozen values of %s: found in %s", name, path)
            return found
        return self._build(name, views, path, key, trainer, network)

    def _build(
        self, name: str, views: int, path: Path, key: str, trainer: Trainer, network: Network
    ) -> ActivationStore | None:
        order = self.data.views(name, shuffle=False)
        loader = self.data.image_loader(name, order, persistent=views > 1)
        rows, part = views * order.images, path.with_suffix(".part")
        store: ActivationStore | None = None
        bar = tqdm(
            total=views * len(loader),
            desc=f"frozen values of {name}",
            unit="batch",
            disable=None if trainer.is_global_zero else True,
        )
        with bar, torch.no_grad(), trainer.precision_plugin.forward_context():
            for view in range(views):
                order.set_epoch(view)
                for batch in loader:
                    values = network.frozen(batch.images.to(trainer.strategy.root_device)).cpu()
                    if store is None:
                        size = ActivationStore.size_bytes(rows, values.shape[1:], values.dtype)
                        if not self._has_room(f"frozen values of {name}", size, present=False):
                            return None
                        layout = (part, rows, values.shape[1:], values.dtype)
                        if not _allocated(trainer, ActivationStore.allocate, *layout):
                            return None
                        store = ActivationStore(*layout, write=True)
                    store.put((view * order.images + batch.indices).tolist(), values)
                    bar.update()
        assert store is not None
        store.flush()
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            store.complete(path, key)
        trainer.strategy.barrier()
        return ActivationStore.opened(path, key)

    def _has_room(self, what: str, size: int, *, present: bool) -> bool:
        """Take `size` bytes of the room that is left, or say why not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if size > self._room or (not present and size > 0.9 * free):
            log.warning(
                "%s are not cached: they take %.2f GB, and cache_limit_gb leaves %.2f (disk: %.2f free)",
                *(what, size / 1e9, self._room / 1e9, free / 1e9),
            )
            return False
        self._room -= size
        return True


def _allocated(trainer: Trainer, allocate: Callable[..., None], file: Path, *arguments: Any) -> bool:
    """Let the first rank reserve the room for `file`; False, for all ranks, where the disk has not enough."""
    done = True
    if trainer.is_global_zero:
        try:
            allocate(file, *arguments)
        except OSError as error:
            log.warning("%s is not cached: %s", file, error)
            file.unlink(missing_ok=True)
            done = False
    return trainer.strategy.broadcast(done)
