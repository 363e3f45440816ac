"""The whole recipe's time: plain Keras, ours augmenting anew in every epoch, and ours with cached views.

    python benchmarks/recipe.py

EfficientNetV2-L at 224 px, both phases, on the same drawn images.  Each row is a process of its own that
trains a few epochs of each phase; the rows take turns in every round.  Epochs are measured (medians, the
first of each process left out), and so is the filling of the caches; the whole of 15 + 30 epochs is computed
from them.  Prints a Markdown table, writes outputs/benchmarks/recipe.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from environments import EnvironmentUnavailableError
from keras_environment import keras_python
from measured_process import run_measured
from tqdm import tqdm

from wbc.settings.run_folder import versions
from wbc.synthetic.dataset import write_dataset
from wbc.utils.files import read_json, write_json
from wbc.utils.text_tables import markdown_table

ROOT = Path(__file__).resolve().parents[1]
EPOCHS = {"head": 15, "finetune": 30}  # of the recipe
BATCH_SIZE = 8
IMAGE_SIZE_PX = 224
KERAS = "Keras"
OUTPUT = Path("outputs/benchmarks/recipe.json")


def run_keras(python: Path, table: Path, epochs: int, scratch: Path) -> dict[str, Any]:
    """One process of Keras."""
    answer = scratch / "keras.json"
    sizes = [str(BATCH_SIZE), str(IMAGE_SIZE_PX), str(epochs)]
    script = str(Path(__file__).with_name("keras_recipe.py"))
    run_measured([str(python), script, str(table.parent / "images"), *sizes, str(answer)])
    return read_json(answer)


def run_ours(views: int, table: Path, epochs: int, scratch: Path) -> dict[str, Any]:
    """One process of train.py with `views` cached views."""
    folder = scratch / "run"
    arguments = [
        "data=manifest",
        f"data.root={table}",
        f"data.checks_dir={scratch}",
        "model.weights=none",
        f"model.image_size_px={IMAGE_SIZE_PX}",
        f"training.batch_size={BATCH_SIZE}",
        f"cache_views={views}",
        *(f"phase.{phase}.max_epochs={epochs}" for phase in EPOCHS),
        *(f"phase.{phase}.min_steps=1" for phase in EPOCHS),  # once through the images, as in Keras
        "+trainer.enable_progress_bar=false",
        f"hydra.run.dir={folder}",
    ]
    usage = run_measured([sys.executable, str(ROOT / "train.py"), *arguments])
    content: dict[str, Any] = {"peak_memory_mib": usage.peak_memory_mib}
    for phase in EPOCHS:
        logs = folder / "logs" / phase
        seconds = pd.read_csv(logs / "history.csv")["seconds"].tolist()
        content[phase] = {
            "epoch_seconds": seconds,
            "cache_seconds": read_json(logs / "result.json")["cache_seconds"],
        }
    return content


def summary(name: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of one row, and the whole recipe computed from them."""
    record: dict[str, Any] = {"row": name, "rounds": rounds}
    whole = 0.0
    for phase, epochs in EPOCHS.items():
        later = [seconds for one in rounds for seconds in one[phase]["epoch_seconds"][1:]]
        cache = median(one[phase]["cache_seconds"] for one in rounds)
        record |= {f"{phase} s/epoch": median(later), f"{phase} cache s": cache}
        whole += cache + epochs * median(later)
    return record | {"whole s": whole, "peak memory MiB": max(one["peak_memory_mib"] for one in rounds)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3, help="of each phase in each round; at least 2")
    parser.add_argument("--images-per-class", type=int, default=12)
    parser.add_argument("--views", type=int, default=4)
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("--epochs must be at least 2: the first of each process is left out")
    labs = ["lab_a", "lab_b", "lab_c", "lab_d"]
    table = write_dataset(ROOT / "data" / "synthetic", options.images_per_class, labs, [], 0, IMAGE_SIZE_PX)
    rows: dict[str, Any] = {}
    try:
        python = keras_python()
        rows[KERAS] = lambda scratch: run_keras(python, table, options.epochs, scratch)
    except EnvironmentUnavailableError as error:
        print(f"without Keras: {error}", file=sys.stderr)
    for views in (0, options.views):
        rows[f"ours, cache_views={views}"] = lambda scratch, v=views: run_ours(
            v, table, options.epochs, scratch
        )
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in rows}
    with tqdm(total=options.rounds * len(rows), unit="process") as bar:
        for _ in range(options.rounds):
            for name, run in rows.items():
                bar.set_description(name)
                with tempfile.TemporaryDirectory() as scratch:
                    results[name].append(run(Path(scratch)))
                bar.update()
    records = [summary(name, rounds) for name, rounds in results.items()]
    base = records[0]["whole s"]
    headers = [key for key in records[0] if key not in ("row", "rounds")]
    cells = [[r["row"], *(f"{r[h]:.1f}" for h in headers), f"{base / r['whole s']:.2f}"] for r in records]
    images = pd.read_csv(table)["split"].value_counts().to_dict()
    print(markdown_table(["", *headers, f"{records[0]['row']} / this"], cells))
    print(f"\n{json.dumps(images)} images; 'whole s' is computed: caches + 15 head + 30 finetune epochs")
    write_json(OUTPUT, {"versions": versions(), "images": images, "rows": records})


if __name__ == "__main__":
    main()
