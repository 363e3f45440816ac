"""Whether cached views cost accuracy: whole runs with several `cache_views`, several seeds each.

    python benchmarks/cache_views.py experiment=pbc data.root=<pbc> model.weights=<file>

Settings as for train.py.  `--images` trains on that many images, drawn stratified and anew for each seed, so
that the whole study takes an hour; fewer images need more views, so what it finds holds for more.  Runs go
side by side, one on each core, each with one thread.  Prints a Markdown table of macro-F1 on the test set
(the fold `val` in experiment=pbc, by which no run is chosen) and of wall time, writes
outputs/benchmarks/cache_views.json; finished runs are kept beside it and not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from statistics import mean, stdev
from typing import Any

from hydra import compose, initialize_config_dir
from our_step import CONF
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from wbc.datasets.manifest import build_manifest, used_rows
from wbc.settings.layout import METRICS
from wbc.settings.run_folder import versions
from wbc.settings.train import parse
from wbc.utils.files import read_json, write_json
from wbc.utils.text_tables import markdown_table

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = Path("outputs/benchmarks/cache_views.json")


def write_table(overrides: list[str], images: int, seed: int, path: Path) -> None:
    """The data set's images as a table whose training part is cut to `images`."""
    with initialize_config_dir(str(CONF / "train"), version_base="1.3"):
        config = parse(compose("config", overrides))
    rows = used_rows(build_manifest(config.data, seed))
    train = rows[rows["split"] == "train"]
    if images < len(train):
        _, out = train_test_split(train, train_size=images, stratify=train["label"], random_state=seed)
        rows = rows.drop(out.index)
    rows[["path", "label", "split"]].to_csv(path, index=False)


def run(views: int, seed: int, core: int, overrides: list[str], table: Path, folder: Path) -> dict[str, Any]:
    """One whole run on one core; its metrics and seconds."""
    answer = folder / "answer.json"
    if answer.is_file():
        return read_json(answer)
    shutil.rmtree(folder / "run", ignore_errors=True)  # of a benchmark that was stopped
    settings = [*overrides, "data=manifest", "data.name=pbc", f"data.root={table}", f"seed={seed}"]
    settings += [f"cache_views={views}", "+trainer.enable_progress_bar=false", f"hydra.run.dir={folder}/run"]
    started = time.monotonic()
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        subprocess.run(
            [sys.executable, str(ROOT / "train.py"), *settings],
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    phases = read_json(folder / "run" / METRICS)["phases"]
    write_json(answer, {"seconds": time.monotonic() - started, "phases": phases})
    return read_json(answer)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--views", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=2000)
    options, overrides = parser.parse_known_args()
    made_of = zlib.crc32(repr([options.images, overrides]).encode())  # other settings share no run
    folder = OUTPUT.with_suffix("").resolve() / f"{made_of:08x}"
    tables = {seed: folder / f"seed_{seed}.csv" for seed in options.seeds}
    folder.mkdir(parents=True, exist_ok=True)
    for seed, table in tables.items():
        write_table(overrides, options.images, seed, table)
    cores: SimpleQueue[int] = SimpleQueue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)
    answers: dict[int, dict[int, dict[str, Any]]] = {views: {} for views in options.views}
    jobs = list(itertools.product(options.seeds, options.views))

    def job(seed: int, views: int) -> None:
        core = cores.get()
        try:
            place = folder / f"views_{views}_seed_{seed}"
            place.mkdir(exist_ok=True)
            answers[views][seed] = run(views, seed, core, overrides, tables[seed], place)
        finally:
            cores.put(core)
            bar.update()

    with tqdm(total=len(jobs), unit="run") as bar, ThreadPoolExecutor(cores.qsize()) as pool:
        for future in [pool.submit(job, *arguments) for arguments in jobs]:
            future.result()
    rows = []
    for views, by_seed in answers.items():
        row: list[str] = [str(views)]
        for phase in ("head", "finetune"):
            scores = [100 * one["phases"][phase]["sets"]["test"]["macro_f1"] for one in by_seed.values()]
            spread = f" ± {stdev(scores):.2f}" if len(scores) > 1 else ""
            row += [f"{mean(scores):.2f}{spread}", " / ".join(f"{score:.2f}" for score in scores)]
        minutes = [one["seconds"] / 60 for one in by_seed.values()]
        rows.append([*row, f"{mean(minutes):.1f}"])
    headers = ["cache_views", "head: macro F1, %", "by seed", "fine-tuned: macro F1, %", "by seed", "minutes"]
    print(markdown_table(headers, rows))
    write_json(
        OUTPUT,
        {"versions": versions(), "images": options.images, "overrides": overrides, "answers": answers},
    )


if __name__ == "__main__":
    main()
