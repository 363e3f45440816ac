"""How well the size of a nucleus in red cells tells classes across labs, beside its size in pixels.

    python benchmarks/red_cells.py <pbc>/val <raabin>/train <jtsc>/images

Each folder holds class folders; --per-class of each class are measured, drawn by a seed.  Prints two Markdown
tables: of each lab and class in how many pictures red cells are found, and the diameters; and how well
lymphocytes are told from monocytes, in each lab and in all together.  Writes
outputs/benchmarks/red_cells.json.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from train_step import machine

from wbc.datasets.class_folders import image_files
from wbc.images.cell_finder import find_nucleus
from wbc.images.decode import decode
from wbc.images.red_cells import red_cell_diameter
from wbc.labels import CLASSES
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.progress import progress
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/red_cells.json")
MEASURES = {"in pixels of the picture": "nucleus", "in red cells": "in red cells"}


def measured(path: str) -> dict[str, float]:
    """Diameters in pixels, NaN for what is not found; and the seconds of a core that the red cells took."""
    rgb = decode(path)
    nucleus = find_nucleus(rgb)
    start = time.process_time()
    diameter = None if nucleus is None else red_cell_diameter(rgb, nucleus)
    seconds = time.process_time() - start
    size = np.nan if nucleus is None else nucleus.diameter
    red = np.nan if diameter is None else diameter
    return {"nucleus": size, "red cell": red, "in red cells": size / red, "seconds": seconds}


def rows(folders: list[Path], per_class: int) -> pd.DataFrame:
    """A row a cell: lab, class and what is measured."""
    chosen = []
    for folder in folders:
        lab = "/".join(folder.resolve().parts[-2:])
        for name in CLASSES:
            files = sorted(image_files(folder / name))
            order = np.random.default_rng(0).permutation(len(files))[:per_class]
            chosen += [(lab, name, files[place]) for place in order]
    found = [measured(path) for _, _, path in progress(chosen, "measuring", "cell")]
    return pd.DataFrame(chosen, columns=["lab", "class", "path"]).join(pd.DataFrame(found))


def told_apart(cells: pd.DataFrame, measure: str) -> float:
    """AUROC of monocytes against lymphocytes; NaN where one of them is not measured."""
    cells = cells[cells["class"].isin(["Lymphocyte", "Monocyte"]) & cells["in red cells"].notna()]
    is_monocyte = cells["class"] == "Monocyte"
    return float(roc_auc_score(is_monocyte, cells[measure])) if is_monocyte.nunique() == 2 else np.nan


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--per-class", type=int, default=150)
    given = parser.parse_args()
    cells = rows(given.folders, given.per_class)
    groups = [(keys, part) for keys, part in cells.groupby(["lab", "class"], sort=False)]
    by_class = [
        {
            "lab": lab,
            "class": name,
            "cells": len(part),
            "found": float(part["in red cells"].notna().mean()),
            "red_cell_px": found["red cell"].median() if len(found) else None,
            "in_red_cells": found["in red cells"].quantile([0.1, 0.5, 0.9]).tolist() if len(found) else [],
        }
        for (lab, name), part in groups
        for found in [part.dropna()]
    ]
    header = [
        "lab",
        "class",
        "cells",
        "red cells found",
        "their diameter",
        "nucleus in red cells",
        "80 % within",
    ]
    table = [
        [
            *(row["lab"], row["class"], f"{row['cells']}", f"{100 * row['found']:.0f} %"),
            *(
                ("–", "–", "–")
                if not row["in_red_cells"]
                else (
                    f"{row['red_cell_px']:.0f} px",
                    "{1:.2f}".format(*row["in_red_cells"]),
                    "{0:.2f} to {2:.2f}".format(*row["in_red_cells"]),
                )
            ),
        ]
        for row in by_class
    ]
    print(markdown_table(header, table))
    labs = [
        lab for lab, part in cells.groupby("lab", sort=False) if not np.isnan(told_apart(part, "nucleus"))
    ]
    aurocs = {
        title: {lab: told_apart(cells[cells["lab"] == lab], measure) for lab in labs}
        | {"all together": told_apart(cells[cells["lab"].isin(labs)], measure)}
        for title, measure in MEASURES.items()
    }
    print()
    print(
        markdown_table(
            ["AUROC, monocytes and lymphocytes", *labs, "all together"],
            [[title, *(f"{one:.3f}" for one in of.values())] for title, of in aurocs.items()],
        )
    )
    milliseconds = 1000 * float(cells["seconds"].median())
    print(f"\n{milliseconds:.1f} ms of a core for a picture, the median")
    record = {"machine": machine(), "versions": versions(), "classes": by_class, "auroc": aurocs}
    write_json(OUTPUT, record | {"milliseconds": milliseconds})


if __name__ == "__main__":
    main()
