"""Measures training cells in red cells, for what the size of a nucleus says of its class."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from wbc.datasets.manifest import DRAWN
from wbc.images.cell_finder import find_nucleus
from wbc.images.decode import decode
from wbc.images.red_cells import nucleus_in_red_cells
from wbc.plain.size_opinion import SizeOpinion, fit_size_opinion
from wbc.utils.machine import available_cores
from wbc.utils.progress import progress

log = logging.getLogger(__name__)

_CELLS = 400  # of a class at most


def measured_size_opinion(train: pd.DataFrame, classes: Sequence[str], seed: int) -> SizeOpinion | None:
    """By the training images, rows of the manifest; None, with a warning, where red cells are missing.

    Drawn cells say nothing of how large cells are.
    """
    real = train[train["source"] != DRAWN]
    cells = real.sample(frac=1, random_state=seed).groupby("label").head(_CELLS)
    with ThreadPoolExecutor(available_cores()) as pool:
        measuring = pool.map(_size, cells["path"])
        sizes = np.array(list(progress(measuring, "measuring nuclei", "cell", len(cells))), np.float64)
    labels = cells["label"].map(list(classes).index).to_numpy()
    opinion = fit_size_opinion(sizes, labels, len(classes))
    if opinion is None:
        seen = [f"{name} {np.isfinite(sizes[labels == place]).sum()}" for place, name in enumerate(classes)]
        log.warning(
            "model.size_opinion: there is none, for red cells are seen beside too few training cells (%s); "
            "give pictures that show some of what lies around the cell",
            ", ".join(seen),
        )
        return None
    told = (f"{name} {math.exp(mean):.2f}" for name, mean in zip(classes, opinion.means, strict=True))
    log.info(
        "nuclei in red cells, by %d of %d cells: %s", np.isfinite(sizes).sum(), len(cells), ", ".join(told)
    )
    return opinion


def _size(path: str) -> float:
    rgb = decode(path)
    return nucleus_in_red_cells(rgb, find_nucleus(rgb))
