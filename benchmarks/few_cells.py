"""The default training on few cells, beside logistic regression on the frozen features.

    python benchmarks/few_cells.py <cells> [--test <cells>] --per-class 20 40 100 --draws 3

<cells> and <test> hold one folder a class; without a test the cells that are not drawn are it, at most 200 of
a class.  Of each class `--per-class` cells are drawn, or with --natural so many on average, as unequal as in
<cells> and five at least, and `wbc train data=folder` trains on them as it comes.
Columns: macro F1 on the test of logistic regression (standardised features, scikit-learn's defaults), of the
head, of fine-tuning, and of the phase that the run kept.  Prints a Markdown table a draw at a time, writes
outputs/benchmarks/few_cells.json; a run that lies there is not repeated.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from train_step import machine

from wbc.answers.checkpoint import load_network
from wbc.answers.predictor import Predictor
from wbc.datasets.manifest import read_manifest, used_rows
from wbc.labels import CLASSES
from wbc.metrics.classification import classification_metrics
from wbc.settings.layout import MANIFEST, METRICS, best_checkpoint
from wbc.settings.run_folder import versions
from wbc.utils.files import read_json, write_json
from wbc.utils.text_tables import markdown_table, percent

OUTPUT = Path("outputs/benchmarks/few_cells")
LEAST = 5  # of a class, where they are as unequal as in the lab
MOST_TESTED = 200  # of a class, where what is not drawn is the test


def lay_out(
    cells: Path, test: Path | None, per_class: int, draw: int, folder: Path, natural: bool = False
) -> None:
    """Links: folder/train/<class>/ and folder/test/<class>/."""
    generator = random.Random(f"{per_class} {draw}")
    classes = sorted(path for path in cells.iterdir() if path.is_dir())
    total = sum(len(list(of_class.iterdir())) for of_class in classes)
    for of_class in classes:
        files = sorted(of_class.iterdir())
        generator.shuffle(files)
        drawn = per_class
        if natural:
            drawn = max(LEAST, round(per_class * len(classes) * len(files) / total))
        others = files[drawn : drawn + MOST_TESTED]
        if test is not None:
            others = sorted((test / of_class.name).iterdir())
        for split, chosen in (("train", files[:drawn]), ("test", others)):
            (folder / split / of_class.name).mkdir(parents=True, exist_ok=True)
            for file in chosen:
                link = folder / split / of_class.name / file.name
                if not link.exists():
                    os.symlink(file.absolute(), link)


def logistic_regression(run: Path) -> float:
    """Macro F1 on the run's test images of a linear classifier of the backbone that its head was put on."""
    rows = used_rows(read_manifest(run / MANIFEST))
    predictor = Predictor(load_network(best_checkpoint(run, "head")))
    features, labels = {}, {}
    for name, splits in {"train": ["train", "val"], "test": ["test"]}.items():
        of_split = rows[rows["split"].isin(splits)]
        outputs, _, _ = predictor.answer_files(of_split["path"].tolist(), 32, None, name)
        features[name] = outputs.features.numpy()
        labels[name] = torch.tensor([CLASSES.index(label) for label in of_split["label"]])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(features["train"], labels["train"].numpy())
    named = torch.from_numpy(model.predict(features["test"]))
    scores = torch.nn.functional.one_hot(named, len(CLASSES)).double()
    return float(classification_metrics(scores, labels["test"], CLASSES)["macro_f1"])


def measured(
    cells: Path, test: Path | None, per_class: int, draw: int, natural: bool, words: list[str]
) -> dict[str, Any]:
    """One row."""
    kind = "_natural" if natural else ""
    folder = OUTPUT / f"{cells.parent.name}_{cells.name}{kind}_{per_class}_{draw}"
    lay_out(cells, test, per_class, draw, folder / "cells", natural)
    run = folder / "run"
    if not (run / METRICS).exists():
        command = [sys.executable, "train.py", "data=folder", f"data.root={folder / 'cells'}", "report=false"]
        subprocess.run([*command, f"hydra.run.dir={run}", *words], check=True)
    metrics = read_json(run / METRICS)
    phases = {phase: record["sets"]["test"]["macro_f1"] for phase, record in metrics["phases"].items()}
    return {
        "cells": cells.parent.name,
        "per_class": per_class,
        "natural": natural,
        "draw": draw,
        "logistic_regression": logistic_regression(run),
        **phases,
        "kept": phases[metrics["kept"]["phase"]],
        "seconds": sum(record["seconds"] for record in metrics["phases"].values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--per-class", type=int, nargs="+", default=[20, 40, 100])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--natural", action="store_true", help="classes as unequal as in <cells>")
    parser.add_argument(
        "--settings",
        nargs="*",
        default=["model=efficientnet_lite0", "model.weights=package"],
        help="of train",
    )
    given = parser.parse_args()
    rows = []
    for per_class in given.per_class:
        for draw in range(given.draws):
            rows.append(measured(given.cells, given.test, per_class, draw, given.natural, given.settings))
            shown = ("logistic_regression", "head", "finetune", "kept")
            table = [
                [str(row["per_class"]), str(row["draw"]), *(percent(row[name]) for name in shown)]
                for row in rows
            ]
            print(
                markdown_table(["cells a class", "draw", "logistic regression", *shown[1:]], table),
                flush=True,
            )
    write_json(
        OUTPUT / f"{given.cells.parent.name}{'_natural' if given.natural else ''}.json",
        {"machine": machine(), "versions": versions(), "rows": rows},
    )


if __name__ == "__main__":
    main()
