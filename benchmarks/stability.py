"""How much a training depends on its seed and on the number of threads.

    python benchmarks/stability.py <folder> experiment=raabin model=efficientnet_lite0 model.weights=package
    python benchmarks/stability.py <pbc> experiment=pbc model.weights=<tf_efficientnet_lite0.safetensors>

<folder> is data.root; what stands behind it are settings of train.  All runs have the same split.
Prints a Markdown table, a row a run, with the macro F1 of each test set of the model that
the run kept; writes outputs/benchmarks/stability/<experiment>.json.  A run that lies there is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
from pathlib import Path

from train_step import machine

from wbc.settings.layout import METRICS
from wbc.settings.run_folder import versions
from wbc.utils.files import read_json, write_json
from wbc.utils.text_tables import markdown_table, percent

OUTPUT = Path("outputs/benchmarks/stability")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("settings", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    name = next(word for word in given.settings if word.startswith("experiment=")).partition("=")[2]
    rows = []
    for threads, seed in itertools.product(given.threads, given.seeds):
        run = OUTPUT / name / f"{threads}_threads_seed_{seed}"
        if not (run / METRICS).exists():
            command = [sys.executable, "train.py", *given.settings, f"data.root={given.folder}"]
            command += [f"seed={seed}", "report=false", f"hydra.run.dir={run}"]
            subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
        metrics = read_json(run / METRICS)
        phases, kept = metrics["phases"], metrics["kept"]["phase"]
        sets = {test: of["macro_f1"] for test, of in phases[kept]["sets"].items() if test != "val"}
        seconds = sum(record["seconds"] for record in phases.values())
        rows.append({"threads": threads, "seed": seed, "kept": kept, "sets": sets, "seconds": seconds})
        header = ["threads", "seed", "kept", *sets, "minutes of training"]
        table = [
            [
                *map(str, (row["threads"], row["seed"], row["kept"])),
                *map(percent, row["sets"].values()),
                f"{row['seconds'] / 60:.0f}",
            ]
            for row in rows
        ]
        print(markdown_table(header, table), flush=True)
        for test in sets:
            scores = [row["sets"][test] for row in rows]
            print(f"{test}: from {percent(min(scores))} to {percent(max(scores))}", flush=True)
    write_json(OUTPUT / f"{name}.json", {"machine": machine(), "versions": versions(), "rows": rows})


if __name__ == "__main__":
    main()
