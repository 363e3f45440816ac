"""The pairs of near-copies among a run's images, as a table and as a page of pictures."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from wbc.datasets.near_copy_rows import LEFT_OUT
from wbc.images.decode import decode
from wbc.pages.figure_style import save_figure
from wbc.pages.image_page import image_page_figure
from wbc.settings.layout import FIGURES, NEAR_COPIES, NEAR_COPIES_PAGE
from wbc.utils.files import replacing

log = logging.getLogger(__name__)

_SHOWN = 24  # pairs on the page; the table has all
_PAIRS_A_ROW = 3


def write_near_copies(table: pd.DataFrame, folder: Path) -> None:
    """Into a run folder.  table: as `wbc.datasets.near_copy_rows.near_copy_table`, with a row or more."""
    with replacing(folder / NEAR_COPIES) as beside:
        table.to_csv(beside, index=False)
    images, captions = [], []
    for row in table.head(_SHOWN).to_dict("records"):
        for of, path in (("", row["path"]), ("copy_", row["copy"])):
            images.append(decode(path))
            is_gone = row["done"].startswith(LEFT_OUT) and path in row["done"]
            said = f"{row[of + 'split']}, {row[of + 'label']}, {Path(path).name}"
            captions.append(f"{said}: left out" if is_gone else said)
        captions[-1] += f" (likeness {row['likeness']:.2f})"
    shown = "" if len(table) <= _SHOWN else f", {_SHOWN} of {len(table)} pairs"
    figure = image_page_figure(
        images, captions, f"Near-copies, side by side{shown}", columns=2 * _PAIRS_A_ROW
    )
    save_figure(figure, folder / FIGURES / NEAR_COPIES_PAGE, svg=False)
    log.info("near-copies: listed in %s, shown in %s", NEAR_COPIES, f"{FIGURES}/{NEAR_COPIES_PAGE}")
