"""The images of a run: its table is built by the first process, and read by all."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pandas as pd

from wbc.datasets.checks import examine_images
from wbc.datasets.manifest import build_with_near_copies, read_manifest, used_rows, write_manifest
from wbc.datasets.synthetic_extra import drawn_cells, with_drawn_cells
from wbc.errors import DataError
from wbc.settings import run_folder
from wbc.settings.layout import MANIFEST, PIXELS
from wbc.settings.train import Config, DataConfig
from wbc.synthetic.dataset import write_dataset
from wbc.training.near_copy_page import write_near_copies
from wbc.utils.files import replacing

log = logging.getLogger(__name__)


def run_manifest_of(config: Config, folder: Path) -> pd.DataFrame:
    """The run's table of images: read where it is written already, else made by the first rank."""
    path = folder / MANIFEST
    if run_folder.is_first_rank():
        size_px = config.model.image_size_px
        # Also where there is a manifest: its drawn cells may have been deleted since.
        cells = drawn_cells(config.data, size_px) if config.data.drawn_per_class else None
        if path.exists():
            _refuse_changed(read_manifest(path), config.data, folder)
        else:
            manifest, near_copies = build_with_near_copies(
                _drawn(config.data, size_px), config.data.split_seed
            )
            if len(near_copies):
                write_near_copies(near_copies, folder)
            if cells is not None:
                manifest = with_drawn_cells(manifest, cells)
            _note_pixels(manifest, config.data, folder)
            write_manifest(manifest, path)  # last: it tells of a run
    run_folder.wait_for(path)
    return read_manifest(path)


def _note_pixels(manifest: pd.DataFrame, data: DataConfig, folder: Path) -> None:
    """Keep the pixel hash of each image that is used, by which a continued run knows it again."""
    examined = examine_images(used_rows(manifest)["path"].tolist(), data.checks_dir, data.workers)
    with replacing(folder / PIXELS) as beside:
        pd.DataFrame(examined.hashes.items(), columns=["path", "pixels"]).to_csv(beside, index=False)


def _refuse_changed(manifest: pd.DataFrame, data: DataConfig, folder: Path) -> None:
    """DataError where images show other pixels than when the run began: its epochs would be of two data sets.

    An image that kept size and time is not read again; one that was copied or touched is, and is the same.
    """
    file = folder / PIXELS
    if not file.exists():
        log.warning("%s lacks %s: whether images changed since it began is not known", folder, PIXELS)
        return
    before: dict[str, str] = dict(pd.read_csv(file, dtype=str, keep_default_na=False).itertuples(index=False))
    now = examine_images(used_rows(manifest)["path"].tolist(), data.checks_dir, data.workers)
    changed = [
        f"{path} ({now.reasons.get(path, 'it shows other pixels')})"
        for path, pixels in before.items()
        if now.hashes.get(path) != pixels
    ]
    if changed:
        raise DataError(
            f"{len(changed)} of {len(before)} images changed since the run in {folder} began, e.g. "
            f"{'; '.join(changed[:3])}. Put them back as they were, or start a new run with the same "
            "settings and another hydra.run.dir"
        )


def _drawn(data: DataConfig, image_size_px: int) -> DataConfig:
    """Synthetic smears are drawn to disk first and then read like anybody's table."""
    if data.source != "synthetic":
        return data
    table = write_dataset(
        Path(data.root),
        data.images_per_class,
        data.train_labs,
        data.unseen_labs,
        data.synthetic_seed,
        image_size_px,
        data.workers,
    )
    return replace(data, source="manifest", root=str(table))
