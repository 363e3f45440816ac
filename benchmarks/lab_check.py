"""How surely pictures of another lab are told from those of the model's own.

    python benchmarks/lab_check.py <run>/model.ckpt <folder of images> [<folder> ...] --count 200

Of each folder `--count` images are sampled.  Columns: their mean rank (0.5 in the validation images' own
world), and in which share of samples of 5, 10, 30 and 100 of them `wbc predict` would say that its promise is
not valid there.  Checkpoints of a training, which know no labs, are fitted on the run's validation images.
Prints a Markdown table, writes outputs/benchmarks/lab_check.json.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import numpy as np
from train_step import machine

from wbc.answers.checkpoint import load_model
from wbc.answers.predictor import Predictor
from wbc.datasets.class_folders import image_files
from wbc.datasets.find_images import run_manifest
from wbc.datasets.manifest import used_rows
from wbc.plain.lab_check import LabCheck, LabTally, fit_lab_check
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table, percent

OUTPUT = Path("outputs/benchmarks/lab_check.json")
SIZES = (5, 10, 30, 100)
SAMPLES = 1000


def outputs(predictor: Predictor, paths: list[str], title: str) -> tuple[np.ndarray, np.ndarray]:
    """Features, and the classes that were given."""
    found, _, _ = predictor.answer_files(paths, 32, None, title)
    return found.features.numpy(), found.logits.argmax(dim=1).numpy()


def sampled(paths: list[str], count: int) -> list[str]:
    return random.Random(0).sample(sorted(paths), min(count, len(paths)))


def measured(predictor: Predictor, check: LabCheck, folder: Path, count: int) -> dict[str, Any]:
    """A row of the table."""
    name = "/".join(folder.parts[-2:])
    ranks = check.ranks(*outputs(predictor, sampled(image_files(folder), count), name))
    rng = np.random.default_rng(0)
    told = {}
    for size in SIZES:
        records = []
        for _ in range(SAMPLES):
            tally = LabTally(len(check.bank))
            tally.add(rng.choice(ranks, size))
            records.append(tally.record()["elsewhere"])
        told[size] = float(np.mean(records))
    return {"set": name, "images": len(ranks), "rank": float(ranks.mean()), "told": told}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=200)
    given = parser.parse_args()
    predictor = load_model(given.checkpoint)
    check = predictor.lab
    if check is None:
        run = (
            given.checkpoint.parents[2]
            if "checkpoints" in given.checkpoint.parts
            else given.checkpoint.parent
        )
        manifest = run_manifest(run / "model.ckpt")
        assert manifest is not None
        rows = used_rows(manifest)
        known = rows.loc[rows["split"] == "val", "path"].tolist()
        check = fit_lab_check(*outputs(predictor, known, "validation"))
    rows = [measured(predictor, check, folder, given.count) for folder in given.folders]
    table = [
        [
            row["set"],
            str(row["images"]),
            f"{row['rank']:.2f}",
            *(percent(row["told"][size]) for size in SIZES),
        ]
        for row in rows
    ]
    print(markdown_table(["", "images", "mean rank", *(f"of {size}" for size in SIZES)], table))
    write_json(
        OUTPUT, {"machine": machine(), "versions": versions(), "model": str(given.checkpoint), "rows": rows}
    )


if __name__ == "__main__":
    main()
