"""What each ingredient of experiment=other_labs adds, in the lab of training and in others.

    python benchmarks/other_labs.py --lab jtsc=<jtsc>/images data.root=<pbc> model.weights=<file> \\
        "data.split_folders={train: train, val: test}"

Rows are cumulative: each has one ingredient more than the row above it, or one in place of that row's where
it begins with "or".  Settings as for train.py.
`--images` trains on that many images, drawn stratified and anew for each seed, and validates on half as
many, `--epochs` so long in each phase, so that the study takes an hour or two; `--drawn` is the number of
drawn cells a class in the row that has them, so that there are no more to a real one than in the
experiment.  Rows that differ only in how answers are made, test-time views and second opinion, share one
training.  Every model is measured on the set `test` (the fold `val` of PBC, by which nothing is chosen), on
each `--lab`, and on the drawn labs that data=synthetic keeps for tests, which tell little of the row with
drawn cells: all are drawn by the same rules.  Runs go side by side, one on each core, each with one thread.
Prints Markdown tables, mean and standard deviation over the seeds, and writes
outputs/benchmarks/other_labs.json; finished runs are kept beside it, and not repeated while recipe, images
and sets stay the same; after a change of the code that trains, delete them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from statistics import mean, stdev
from typing import Any

import pandas as pd
from answers import Outputs, measured, outputs
from cache_views import ROOT, write_table
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from our_step import CONF
from tqdm import tqdm

import wbc
from wbc.answers.averaged_views import AveragedViews
from wbc.answers.rule import fit_rule
from wbc.answers.second_opinion import SecondOpinion
from wbc.datasets.manifest import read_csv
from wbc.images.standardised import VERSION
from wbc.labels import ClassNames
from wbc.loading.augment import Augment
from wbc.settings.layout import MODEL
from wbc.settings.run_folder import versions
from wbc.settings.train import Config, parse
from wbc.synthetic.dataset import write_dataset
from wbc.utils.files import read_json, write_json
from wbc.utils.memory import keep_freed_memory
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/other_labs.json")
DRAWN = "drawn labs"
MAX_ERROR = 0.05  # promised of answers; so few validation images cannot promise the 0.01 of the experiment
# In the order in which they are added, each with what leaves it out.
INGREDIENTS: dict[str, list[str]] = {
    "recipe": [],
    "+ whole network, batch-norm frozen": [
        "phase.finetune.unfreeze_last=50",
        "phase.finetune.batch_norm=trainable",
    ],
    "+ augment=other_labs": ["augment=recipe"],
    "+ cell of standard size": ["model.standardise=[]", "model.image_size_px=224"],
    "+ white field": ["model.standardise=[size]"],
    "+ nucleus of standard stain": ["model.standardise=[size,field]"],
    "+ averaged weights": ["phase.finetune.average=null"],
    "+ averaged over draws of the augmentation": ["model.test_time.draws=0"],
    "+ second opinion by measurements": ["model.second_opinion=0"],
    "+ drawn cells in training": ["data.drawn_per_class=0"],
}
ANSWERING = ("model.test_time", "model.second_opinion")  # what says how answers are made of a trained network
COLUMNS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "ece_after": "ECE",
    "answered": "answered",
    "accuracy_of_answered": "accuracy when answered",
}


def leaving_out(row: str) -> list[str]:
    """The overrides of experiment=other_labs that leave out all that is added after `row`."""
    names = list(INGREDIENTS)
    later = itertools.chain.from_iterable(INGREDIENTS[name] for name in names[names.index(row) + 1 :])
    by_key: dict[str, str] = {}
    for override in later:
        by_key.setdefault(override.partition("=")[0], override)  # the row added first leaves out most
    return list(by_key.values())


def write_fewer(settings: list[str], images: int, seed: int, table: Path) -> None:
    """A table of so many training images, half as many to validate on, and all that tests."""
    write_table(settings, images, seed, table)
    rows = pd.read_csv(table, dtype=str)
    val = rows[rows["split"] == "val"]
    fewer = val.sample(min(len(val), images // 2), random_state=seed)
    rows.drop(val.index.difference(fewer.index)).to_csv(table, index=False)


def settings_of(row: str, seed: int, drawn: int, overrides: list[str], table: Path) -> list[str]:
    """What a row stands for.  drawn: cells a class, in the rows that have them."""
    settings = ["experiment=other_labs", f"data.drawn_per_class={drawn}", *leaving_out(row), *overrides]
    settings += ["data=manifest", "data.name=pbc", f"data.root={table}", f"seed={seed}", "report=false"]
    return settings


def for_training(settings: list[str]) -> list[str]:
    """What the run of a row is given: rows of one training alike, and what none of them needs left out."""
    kept = [one for one in settings if not one.startswith(ANSWERING)]
    return [*kept, "model.test_time.draws=0"]  # the run's own rule of answers is not used


def name_of(settings: list[str], table: Path) -> str:
    """A name of what a run is made of: its settings with their defaults, its images, how they are shown."""
    with initialize_config_dir(str(CONF / "train"), version_base="1.3"):
        told = OmegaConf.to_container(compose("config", [*settings, "data.root=."]), resolve=False)
    return f"{zlib.crc32(repr([told, table.read_bytes(), VERSION]).encode()):08x}"


def train(settings: list[str], core: int, folder: Path) -> None:
    """One whole run on one core."""
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        subprocess.run(
            [
                *(sys.executable, str(ROOT / "train.py"), *settings),
                *(f"hydra.run.dir={folder}/run", "+trainer.enable_progress_bar=false"),
            ],
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    shutil.rmtree(folder / "run" / "checkpoints")


def composed(settings: list[str]) -> Config:
    """The settings as train.py has them.  Not from several threads at once: Hydra composes for a process."""
    with initialize_config_dir(str(CONF / "train"), version_base="1.3"):
        return parse(compose("config", settings))


def measure(run: Path, rows: dict[Path, Config], sets: dict[str, str]) -> None:
    """Write the figures of a run's model on each set, given as to explain.py, with a rule of MAX_ERROR.

    rows: where each is written, and the settings that say how its answers are made.
    """
    predictor = wbc.load(run / MODEL)
    opinion = predictor.second_opinion

    def seen(views: AveragedViews, second_opinion: SecondOpinion | None = None) -> dict[str, Outputs]:
        predictor.views, predictor.second_opinion = views, second_opinion
        return {name: outputs(predictor, run, images) for name, images in {"val": "val", **sets}.items()}

    one_view = seen(AveragedViews())
    made = {(0, ""): one_view}  # the network's share, which takes most of the time
    if opinion is not None and any(config.model.second_opinion for config in rows.values()):
        told = seen(AveragedViews(), replace(opinion, weight=1.0))
    else:
        told = one_view  # adds nothing
    for place, config in rows.items():
        draws = config.model.test_time.draws
        chain = Augment(instantiate(config.augment.transforms, _convert_="all")).state() if draws else None
        views = (draws, repr(chain) if draws else "")
        if views not in made:
            made[views] = seen(AveragedViews(draws, chain))
        cells = {
            name: one._replace(
                logits=one.logits + config.model.second_opinion * (told[name].logits - one_view[name].logits)
            )
            for name, one in made[views].items()
        }
        rule = fit_rule(*cells["val"], replace(config.abstain, max_error=MAX_ERROR))
        write_json(place, {name: measured(rule, cells[name], predictor.classes) for name in sets})


def drawn_cells(folder: Path) -> str:
    """A table of the cells of the drawn labs that data=synthetic keeps for tests."""
    data = composed(["data=synthetic", "name=drawn"]).data
    table = write_dataset(
        Path(data.root), data.images_per_class, data.train_labs, data.unseen_labs, data.synthetic_seed, 224, 1
    )
    rows = read_csv(table, ClassNames(data.classes), DRAWN)
    rows[rows["split"] == "test_other_lab"][["path", "label"]].to_csv(folder / "drawn.csv", index=False)
    return str(folder / "drawn.csv")


def cell_text(values: list[float | None]) -> str:
    """Mean and spread in per cent, of the seeds where there is a value."""
    there = [100 * value for value in values if value is not None]
    if not there:
        return "–"
    return f"{mean(there):.1f}" + (f" ± {stdev(there):.1f}" if len(there) > 1 else "")


def table_of(name: str, found: dict[str, dict[int, Any]]) -> str:
    """The figures of one set, a row an ingredient."""
    rows = [
        [row, *(cell_text([one[name][key] for one in by_seed.values()]) for key in COLUMNS)]
        for row, by_seed in found.items()
    ]
    return markdown_table(["", *COLUMNS.values()], rows)


def arguments() -> tuple[argparse.Namespace, list[str]]:
    """The benchmark's own, and settings as for train.py."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lab", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--rows", nargs="+", default=list(INGREDIENTS), choices=list(INGREDIENTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--drawn", type=int, default=18)
    return parser.parse_known_args()


def main() -> None:
    options, overrides = arguments()
    keep_freed_memory()
    labs = dict(lab.split("=", 1) for lab in options.lab)
    folder = OUTPUT.with_suffix("").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    tables = {seed: folder / f"{options.images}_seed_{seed}.csv" for seed in options.seeds}
    for seed, table in tables.items():
        write_fewer(["experiment=other_labs", *overrides], options.images, seed, table)
    overrides = [one for one in overrides if not one.startswith("data.")]
    overrides += [f"phase.{phase}.max_epochs={options.epochs}" for phase in ("head", "finetune")]
    sets = {"test": "test", **labs, DRAWN: drawn_cells(folder)}
    cores: SimpleQueue[int] = SimpleQueue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)
    every = list(itertools.product(options.rows, options.seeds))
    settings = {one: settings_of(*one, options.drawn, overrides, tables[one[1]]) for one in every}
    configs = {one: composed(settings[one]) for one in every}
    places: dict[Path, list[tuple[str, int]]] = {}  # of each training: the rows and seeds it serves
    kept: dict[tuple[str, int], Path] = {}
    for row, seed in sorted(every, key=lambda one: one[1]):
        one, table = (row, seed), tables[seed]
        place = folder / name_of(for_training(settings[one]), table)
        told = repr([name_of(settings[one], table), sets, MAX_ERROR])
        kept[one] = place / f"answer_{zlib.crc32(told.encode()):08x}.json"
        places.setdefault(place, []).append(one)

    def job(place: Path) -> None:
        core = cores.get()
        try:
            if not (place / "run" / MODEL).is_file():
                shutil.rmtree(place, ignore_errors=True)  # of a benchmark that was stopped
                place.mkdir()
                train(for_training(settings[places[place][0]]), core, place)
            if rows := {kept[one]: configs[one] for one in places[place] if not kept[one].is_file()}:
                measure(place / "run", rows, sets)
        finally:
            cores.put(core)
            bar.update()

    with tqdm(total=len(places), unit="run") as bar, ThreadPoolExecutor(cores.qsize()) as pool:
        futures = [pool.submit(job, place) for place in places]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # those not yet begun
            raise
    found = {row: {seed: read_json(kept[row, seed]) for seed in options.seeds} for row in options.rows}
    for name in sets:
        print(f"\n**{name}**, %\n\n{table_of(name, found)}")
    record = {"versions": versions(), "settings": vars(options), "overrides": overrides, "found": found}
    write_json(OUTPUT, record)


if __name__ == "__main__":
    main()
