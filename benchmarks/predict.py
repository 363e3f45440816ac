"""What predict.py costs: its rate beside the bare network's, and memory over many files.

    python benchmarks/predict.py [<folder of images>] [--model <model.ckpt>]

EfficientNet-lite0 at 224 px, or the model of the file, on the CPU in float32, by torch and by OpenVINO.  The
rate is that of whole jobs, from listing the files to the tables, on JPEG files of 360 px (drawn, or the
images of the folder, repeated); the network's is that of passes of batches that lie in memory, as many as
the model has views of an image.  They take turns; OpenVINO's conversion is made before.  Memory is the most
that the process had resident, on files of 8 px and a network at 64 px, in a process of its own for each
number of files.  Prints Markdown tables, writes outputs/benchmarks/predict.json.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm
from train_step import machine

from wbc.answers.checkpoint import load_model, save_model
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.datasets.class_folders import image_files
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.predicting.job import predict
from wbc.runtime.runtime import Runtime
from wbc.settings.abstain import AbstainConfig
from wbc.settings.predict import PredictConfig
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.memory import keep_freed_memory
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/predict.json")
BATCH_SIZE = 32
ENGINES = ("torch", "openvino")
VALIDATION_IMAGES = 900  # as many as the answers' rule has on the pbc data


def save_untrained(path: Path, side: int) -> Predictor:
    """Random weights and a rule of random features: they change no time."""
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", side), CLASSES).eval()
    features = torch.randn(VALIDATION_IMAGES, network.backbone.features)
    with torch.inference_mode():
        logits = network.classify(features)
    rule = fit_rule(features, logits, logits.argmax(dim=1), AbstainConfig(0.01, 0.99, "knn", 0.95))
    predictor = Predictor(network, rule)
    save_model(predictor, path, {})
    return predictor


def link_images(folder: Path, sources: list[Path], count: int) -> None:
    """`count` names for the sources' files, a thousand a folder."""
    for number, source in zip(range(count), itertools.cycle(sources)):  # the names are fewer
        place = folder / f"{number // 1000:04d}" / f"{number:07d}{source.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, place)


def drawn(folder: Path, side: int, suffix: str) -> list[Path]:
    """Twenty smooth pictures as files."""
    rng = np.random.default_rng(0)
    files = []
    for number in range(20):
        files.append(folder / f"source_{side}_{number}{suffix}")
        pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((side, side)).save(files[-1])
    return files


def copied(folder: Path, images: list[str]) -> list[Path]:
    """The files themselves, since a link may not cross file systems."""
    files = []
    for number, image in enumerate(images):
        files.append(folder / f"source_{number}{Path(image).suffix}")
        files[-1].write_bytes(Path(image).read_bytes())
    return files


def settings(model: Path, images: Path, output: Path, runtime: str = "torch") -> PredictConfig:
    return PredictConfig(
        checkpoint=str(model),
        images=str(images),
        output=str(output),
        table="predictions.csv",
        batch_size=BATCH_SIZE,
        accelerator="cpu",
        runtime=runtime,
        devices=1,
        num_nodes=1,
    )


def rates(sources: str | None, model: Path | None, count: int, rounds: int) -> dict[str, list[float]]:
    """Images a second of the bare network and of the job, by each engine."""
    found: dict[str, list[float]] = {
        f"{what}, {engine}": [] for engine in ENGINES for what in ("passes", "predict.py")
    }
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        if model is None:
            model = place / "model.ckpt"
            save_untrained(model, 224)
        predictor = load_model(model)
        side, views = predictor.network.image_size_px, predictor.views.count
        files = (
            drawn(place, 360, ".jpg")
            if sources is None
            else copied(place, image_files(Path(sources))[:count])
        )
        link_images(place / "images", files, count)
        batch = torch.randint(0, 256, (BATCH_SIZE, 3, side, side), dtype=torch.uint8)
        runtimes = {engine: Runtime(predictor.network, engine) for engine in ENGINES}
        for runtime in runtimes.values():
            runtime.expect(BATCH_SIZE)
            runtime.values(batch)  # converts
        for number, engine in tqdm(
            itertools.product(range(rounds), ENGINES), "rounds", rounds * len(ENGINES)
        ):
            started = time.perf_counter()
            for _ in range(views * -(-count // BATCH_SIZE)):
                runtimes[engine].values(batch)
            found[f"passes, {engine}"].append(count / (time.perf_counter() - started))
            output = place / f"run_{number}_{engine}"
            started = time.perf_counter()
            predict(settings(model, place / "images", output, engine), output)
            found[f"predict.py, {engine}"].append(count / (time.perf_counter() - started))
    return found


def peak_mib(count: int) -> float:
    """The most that a job on so many small files has resident, loader processes apart."""
    command = [sys.executable, __file__, "--memory-child", str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.splitlines()[-1])


def memory_child(count: int) -> None:
    """Runs one job and prints the peak."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        save_untrained(place / "model.ckpt", 64)
        link_images(place / "images", drawn(place, 8, ".png"), count)
        predict(settings(place / "model.ckpt", place / "images", place / "run"), place / "run")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="?")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, nargs="*", default=[1000, 100_000])
    parser.add_argument("--memory-child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    keep_freed_memory()  # as predict.py does
    if options.memory_child is not None:
        memory_child(options.memory_child)
        return
    found = rates(options.images, options.model, options.count, options.rounds)
    rows = []
    for name, rate in found.items():
        engine = name.partition(", ")[2]
        base, by_torch = (median(found[key]) for key in (f"passes, {engine}", name.replace(engine, "torch")))
        own = median(rate)
        rows.append([name, f"{own:.1f}", f"{own / base:.2f}", f"{own / by_torch:.2f}"])
    header = [f"{options.count} images", "images/s", "of the passes", "times torch"]
    print("\n" + markdown_table(header, rows) + "\n")
    memory = {count: peak_mib(count) for count in options.files}
    rows = [[f"{count:,}", f"{mib:.0f}"] for count, mib in memory.items()]
    print("\n" + markdown_table(["files", "most resident, MiB"], rows))
    write_json(
        OUTPUT, {"machine": machine(), "versions": versions(), "images_per_s": found, "peak_mib": memory}
    )


if __name__ == "__main__":
    main()
