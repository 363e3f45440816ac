"""The images of a run: its table is built by the first process, and read by all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from wbc.datasets.manifest import build_manifest, read_manifest, write_manifest
from wbc.datasets.synthetic_extra import drawn_cells, with_drawn_cells
from wbc.settings import run_folder
from wbc.settings.layout import MANIFEST
from wbc.settings.train import Config, DataConfig
from wbc.synthetic.dataset import write_dataset


def run_manifest_of(config: Config, folder: Path) -> pd.DataFrame:
    """The run's table of images: read where it is written already, else made by the first rank."""
    path = folder / MANIFEST
    if run_folder.is_first_rank():
        size_px = config.model.image_size_px
        # Also where there is a manifest: its drawn cells may have been deleted since.
        cells = drawn_cells(config.data, size_px) if config.data.drawn_per_class else None
        if not path.exists():
            manifest = build_manifest(_drawn(config.data, size_px), config.seed)
            write_manifest(manifest if cells is None else with_drawn_cells(manifest, cells), path)
    run_folder.wait_for(path)
    return read_manifest(path)


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
