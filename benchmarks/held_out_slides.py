"""Raabin-WBC's training crops with a third of the slides as TestA: slides that training does not see.

    python benchmarks/held_out_slides.py <raabin> <folder>
    python train.py experiment=raabin model=efficientnet_lite0 model.weights=package data.root=<folder>

<raabin> holds `smears.csv` and `train`.  Makes links: <folder>/Train/<class>/ and <folder>/TestA/<class>/.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pandas as pd

# Slide sets, and of basophils the day. Of 60 draws of three stratified folds that keep a set, a day, and the
# sets of photographs that show the same cells (95-5-10-1 with 95-9-4-4 and 95-8-12-4, 95-5-11-1 with
# 95-9-4-3) together, the fold whose classes are nearest to a third each.
HELD_OUT = {
    "20190527", "95-5-10-1", "95-5-5-1", "95-8-1-1", "95-8-12-6", "95-8-13-1", "95-8-17-1", "95-8-17-3",
    "95-8-20-1", "95-8-20-2", "95-8-20-3", "95-8-22-1", "95-8-22-2", "95-8-5-1", "95-8-6-1", "95-8-8-2",
    "95-8-8-3", "95-9-1-2", "95-9-3-2", "95-9-3-5",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("raabin", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    smears = pd.read_csv(given.raabin / "smears.csv", dtype=str)
    of_days = smears["slide_set"] == "2019"
    held_out = smears["slide_set"].where(~of_days, smears["group"]).isin(HELD_OUT)
    smears["split"] = held_out.map({True: "TestA", False: "Train"})
    for row in smears.itertuples():
        link = given.folder / str(row.split) / str(row.label) / Path(str(row.path)).name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            os.symlink((given.raabin / str(row.path)).absolute(), link)
    print(pd.crosstab(smears["split"], smears["label"], margins=True).to_string())


if __name__ == "__main__":
    main()
