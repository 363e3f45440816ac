"""The input pipeline: what each step of it takes, what loader processes make of it, and what training gets.

    python benchmarks/data.py [settings as for train.py]
    python benchmarks/data.py data=folder data.root=<crops> model=efficientnet_lite0 model.weights=none

Three tables, images a second, medians of rounds that take turns: the steps of one image in one process; the
loader alone by number of processes, against decoding alone; and training in both phases from the loader,
against the same steps on batches that lie in the device's memory.  Without settings: drawn cells and the
network of conf/train/config.yaml.  Writes outputs/benchmarks/data.json.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from our_step import CONF, build
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.types import STEP_OUTPUT
from tqdm import tqdm

from wbc.datasets.manifest import build_manifest
from wbc.images.decode import decode
from wbc.images.prepare import Prepare
from wbc.loading.augment import Augment
from wbc.loading.datamodule import ImageData
from wbc.loading.decoded import DecodedImages
from wbc.loading.epoch_sampler import Draw
from wbc.loading.labelled_images import Batch
from wbc.settings.run_folder import versions
from wbc.settings.train import PHASES, Config, FitConfig, parse
from wbc.synthetic.dataset import write_dataset
from wbc.training.freeze import FreezeBackbone
from wbc.training.precision import faster_precision, forward_ms, resolve_precision
from wbc.utils.files import write_json
from wbc.utils.machine import available_cores, default_workers
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/data.json")
WARM_UP_STEPS = 3


class StepClock(Callback):
    """When each step ended, loading included."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        self.ended.append(time.perf_counter())

    def images_per_second(self, batch_size: int) -> float:
        """Over the steps after the first few."""
        steps = len(self.ended) - 1 - WARM_UP_STEPS
        return steps * batch_size / (self.ended[-1] - self.ended[WARM_UP_STEPS])


class Resident:
    """One batch in the device's memory, again and again."""

    def __init__(self, batch: Batch, steps: int) -> None:
        self.batch = batch
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        return itertools.repeat(self.batch, self.steps)


def settings(overrides: list[str]) -> tuple[Config, pd.DataFrame]:
    """The settings that train.py would take, and their table of images."""
    with initialize_config_dir(str(CONF / "train"), version_base="1.3"):
        composed = compose("config", overrides or ["data=synthetic"])
    config = parse(composed)
    data = config.data
    if data.source == "synthetic":
        labs = (data.train_labs, data.unseen_labs)
        size = config.model.image_size_px
        table = write_dataset(Path(data.root), data.images_per_class, *labs, data.synthetic_seed, size)
        data.source, data.root = "manifest", str(table)
    return config, build_manifest(data, config.seed)


def cells(config: Config, manifest: pd.DataFrame, workers: int, folder: Path) -> ImageData:
    """The run's data module with decoded images kept in `folder`, as a run keeps them."""
    augment = Augment(instantiate(config.augment.transforms, _convert_="all"))
    model = config.model
    prepare = Prepare(model.image_size_px, model.standardise)
    batch_size = config.training.batch_size
    data = ImageData(manifest, config.data.classes, prepare, batch_size, augment, config.seed, workers)
    paths = data.decoded["train"].paths
    file = folder / "train.pixels"
    DecodedImages.allocate(file, len(paths), prepare.size_px)
    data.decoded["train"] = DecodedImages(paths, prepare, file)
    return data


def step_rates(config: Config, data: ImageData, images: int) -> dict[str, Callable[[], float]]:
    """Each step of one image, in this process; the names say what is left out before."""
    paths = data.decoded["train"].paths[:images]
    raw = [decode(path) for path in paths]
    train = data.images("train")
    resized = [train.images[index] for index in range(len(paths))]  # fills the file of decoded pixels

    def rate(step: Callable[[int], Any]) -> Callable[[], float]:
        def run() -> float:
            started = time.perf_counter()
            for index in range(len(paths)):
                step(index)
            return len(paths) / (time.perf_counter() - started)

        return run

    rates = {
        "decode": rate(lambda index: decode(paths[index])),
        "prepare": rate(lambda index: data.prepare(raw[index])),
        "read decoded and resized": rate(lambda index: train.images[index]),
    }
    for number, transform in enumerate(instantiate(config.augment.transforms, _convert_="all")):
        alone = Augment([transform])
        name = f"augment {number + 1}: {type(transform).__name__}"
        rates[name] = rate(lambda index, alone=alone: alone(resized[index], index))
    rates["augment, all"] = rate(lambda index: data.augment(resized[index], index))
    # In a loader process OpenCV has one thread and takes whole images in turn.
    rates["read and augment, as the loader does"] = rate(lambda index: train[Draw(index, 0)])
    return rates


def loader_rate(data: ImageData, batches: int) -> float:
    """The loader alone, after its first batches: starting processes is paid once a phase."""
    views = data.order("train", shuffle=True, first_epoch=0)
    loader = iter(data.image_loader("train", views))
    for _ in range(WARM_UP_STEPS):
        next(loader)
    count = 0
    started = time.perf_counter()
    for batch in itertools.islice(loader, batches):
        count += len(batch.labels)
    return count / (time.perf_counter() - started)


def training_rate(config: Config, phase: str, data: ImageData, steps: int, *, resident: bool) -> float:
    """Images a second of real training steps."""
    fit: FitConfig = getattr(config.phase, phase)
    clock = StepClock()
    accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    precision: Any = config.trainer["precision"]
    trainer = Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision,
        max_epochs=1,
        limit_train_batches=steps,
        callbacks=[FreezeBackbone(fit.unfreeze_last, fit.batch_norm == "trainable"), clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    loader: Any = data.image_loader("train", data.order("train", shuffle=True, first_epoch=0))
    if resident:
        batch = Batch(*(field.to(trainer.strategy.root_device) for field in next(iter(loader))))
        loader = Resident(batch, steps)
    torch.manual_seed(config.seed)
    trainer.fit(build(config, fit), loader)
    return clock.images_per_second(config.training.batch_size)


def run_precision(config: Config) -> str:
    """What a run would choose."""
    precision = resolve_precision("auto", "gpu" if torch.cuda.is_available() else "cpu")
    if precision == "bf16-mixed" and not torch.cuda.is_available():
        precision = faster_precision(forward_ms(build(config, config.phase.head).network))
    return precision


def rounds_of(rates: dict[str, Callable[[], float]], rounds: int, what: str) -> dict[str, list[float]]:
    """Let them take turns, so that a change in the machine's load meets all of them."""
    found: dict[str, list[float]] = {name: [] for name in rates}
    with tqdm(total=rounds * len(rates), desc=what) as bar:
        for _ in range(rounds):
            for name, run in rates.items():
                found[name].append(run())
                bar.update()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="batches in each round of loader and training")
    parser.add_argument("--images", type=int, default=200, help="for the steps of one image")
    parser.add_argument("--workers", type=int, nargs="+", help="numbers of loader processes to try")
    options, overrides = parser.parse_known_args()
    if options.steps < WARM_UP_STEPS + 2:
        parser.error(
            f"--steps must be {WARM_UP_STEPS + 2} or more: the first {WARM_UP_STEPS + 1} are left out"
        )
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    cores = available_cores()
    counts = options.workers or sorted({0, 1, 2, 4, 8, 16, default_workers()} & set(range(cores + 1)))
    config, manifest = settings(overrides)
    config.trainer["precision"] = run_precision(config)
    images = int((manifest["split"] == "train").sum())
    needed = (options.steps + WARM_UP_STEPS) * config.training.batch_size
    if images < needed:
        parser.error(f"{images} training images, {needed} needed: give fewer --steps or more images")
    print(f"training in {config.trainer['precision']}")
    report: dict[str, Any] = {
        "precision": config.trainer["precision"],
        "versions": versions(),
        "overrides": overrides,
        "cores": cores,
    }
    with tempfile.TemporaryDirectory() as scratch:
        loaders = {
            workers: cells(config, manifest, workers, Path(scratch)) for workers in sorted({*counts, 0})
        }
        for _ in loaders[0].image_loader("train", loaders[0].views("train", shuffle=False, first_epoch=0)):
            pass  # fills the file of decoded pixels, which a run does in its first epoch
        found = rounds_of(step_rates(config, loaders[0], options.images), options.rounds, "steps")
        report["steps"] = found
        rows = [[name, f"{median(v):.0f}", f"{1000 / median(v):.2f}"] for name, v in found.items()]
        print("\n" + markdown_table(["one process", "images/s", "ms/image"], rows) + "\n")
        alone = median(found["decode"])

        found = rounds_of(
            {
                str(workers): lambda workers=workers: loader_rate(loaders[workers], options.steps)
                for workers in counts
            },
            options.rounds,
            "loader",
        )
        report["loader"] = found
        rows = [[name, f"{median(v):.0f}", f"{median(v) / alone:.2f}"] for name, v in found.items()]
        print("\n" + markdown_table(["loader processes", "images/s", "of decoding alone"], rows) + "\n")

        report["training"] = {}
        rows = []
        for phase in PHASES:
            runs: dict[str, Callable[[], float]] = {
                "resident": lambda phase=phase: training_rate(
                    config, phase, loaders[0], options.steps, resident=True
                )
            }
            for workers in counts:
                runs[str(workers)] = lambda phase=phase, workers=workers: training_rate(
                    config, phase, loaders[workers], options.steps, resident=False
                )
            found = rounds_of(runs, options.rounds, phase)
            report["training"][phase] = found
            resident = median(found["resident"])
            for name, values in found.items():
                rows.append([phase, name, f"{np.median(values):.1f}", f"{median(values) / resident:.2f}"])
        headers = ["phase", "loader processes", "images/s", "of resident batches"]
        print("\n" + markdown_table(headers, rows) + "\n")
    write_json(OUTPUT, report)
    print(f"written to {OUTPUT}")


if __name__ == "__main__":
    main()
