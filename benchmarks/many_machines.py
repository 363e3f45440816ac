"""What predict.py does in one process however many machines share the images, and what it leaves on the disk.

    python benchmarks/many_machines.py [--images 100000 1000000] [--rounds 2] [--model <model.ckpt>]

The first process lists the images and joins the parts of all; each process reads the list.  So many names
of a few small files are listed; their parts hold rows that the model gave to drawn cells, with the ranks of
pictures of its own lab.  Then what is left to the command is timed: nothing is computed by a network.
Prints a Markdown table and writes outputs/benchmarks/many_machines.json.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from tqdm import tqdm
from train_step import machine

from predict import drawn, link_images
from wbc.answers.checkpoint import load_model
from wbc.datasets.image_list import ImageList, list_hash, write_list
from wbc.labels import CLASSES
from wbc.predicting.job import predict
from wbc.predicting.parts import PartRow, part_rows, write_part
from wbc.settings.layout import SOURCES
from wbc.settings.paths import PRETRAINED, model_path
from wbc.settings.predict import PredictConfig
from wbc.settings.run_folder import versions
from wbc.synthetic.draw import LABS, draw_cell
from wbc.utils.files import file_hash, write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/many_machines.json")
BATCH_SIZE = 32
BATCHES = 16  # of a part, as the command has them
DRAWN = 32  # cells that the model answers, for rows as they are


def settings(model: str, images: Path, output: Path) -> PredictConfig:
    return PredictConfig(
        checkpoint=model,
        images=str(images),
        output=str(output),
        table="predictions.csv",
        batch_size=BATCH_SIZE,
        accelerator="cpu",
        runtime="torch",
        devices=1,
        num_nodes=1,
    )


def rows_of_the_model(model: str, place: Path) -> list[PartRow]:
    """What each process keeps of its images, of cells of the drawn lab."""
    rng = np.random.default_rng(0)
    place.mkdir()
    for number, name in zip(range(DRAWN), itertools.cycle(CLASSES)):
        Image.fromarray(draw_cell(name, LABS["lab_a"], rng, 224)[0]).save(place / f"{number}.png")
    write_list(str(place), None, place / "images.jsonl")
    images = ImageList(place / "images.jsonl", BATCH_SIZE)
    predictor = load_model(model)
    batches = predictor.stream(images, range(len(images)), 0)
    rows = [row for batch in batches for row in part_rows(batch, predictor.lab, predictor.classes)]
    # As of pictures of the model's own lab: those of another are written once more.
    ranks = np.linspace(0, 1, len(rows) + 2)[1:-1]
    return [row._replace(rank=f"{rank:.6g}") for row, rank in zip(rows, ranks, strict=True)]


def timed(what: str, seconds: dict[str, float], call: Callable[[], object]) -> None:
    started = time.perf_counter()
    call()
    seconds[what] = time.perf_counter() - started


def measured(model: str, rows: list[PartRow], count: int) -> dict[str, float]:
    """Seconds of each step, and bytes, for so many images."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        link_images(place / "images", drawn(place, 8, ".png"), count)
        output = place / "output"
        parts = output / "parts"
        parts.mkdir(parents=True)
        listed = parts / "images.jsonl"
        timed("listing", seconds, lambda: write_list(str(place / "images"), None, listed))
        timed("sizes and dates", seconds, lambda: list_hash(listed))
        timed("reading the list, each process", seconds, lambda: ImageList(listed, BATCH_SIZE))
        images = ImageList(listed, BATCH_SIZE)
        for start in range(0, len(images), BATCHES):
            numbers = range(start, min(start + BATCHES, len(images)))
            files = [file for number in numbers for file in images.batch(number)]
            of_part = [
                row._replace(path=file.path, prediction=[file.path, *row.prediction[1:]])
                for file, row in zip(files, itertools.cycle(rows))
            ]
            write_part(parts / f"{start:08d}.csv", of_part)
        write_json(output / SOURCES, {"model": file_hash(Path(model)), "images": list_hash(listed)})
        found = {"list, bytes an image": listed.stat().st_size / count}
        found["parts, bytes an image"] = sum(part.stat().st_size for part in parts.glob("*.csv")) / count
        before = sum(
            seconds[step] for step in ("listing", "sizes and dates", "reading the list, each process")
        )
        timed("whole", seconds, lambda: predict(settings(model, place / "images", output), output))
        seconds["joining"] = seconds.pop("whole") - before
        found["predictions.csv, bytes an image"] = (output / "predictions.csv").stat().st_size / count
    return seconds | found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", default=PRETRAINED)
    options = parser.parse_args()
    model = model_path(options.model)
    with tempfile.TemporaryDirectory() as scratch:
        rows = rows_of_the_model(model, Path(scratch) / "drawn")
    found: dict[int, list[dict[str, float]]] = {count: [] for count in options.images}
    for _, count in tqdm(list(itertools.product(range(options.rounds), options.images)), "rounds"):
        found[count].append(measured(model, rows, count))
    steps = list(found[options.images[0]][0])
    table = []
    for step in steps:
        # Bytes are told as they are, seconds for a million images.
        factors = {count: 1.0 if "bytes" in step else 1e6 / count for count in found}
        values = [median(one[step] for one in found[count]) * factors[count] for count in found]
        table.append(
            [step if "bytes" in step else f"{step}, s a million images", *map("{:.0f}".format, values)]
        )
    print("\n" + markdown_table(["", *(f"{count:,} images" for count in found)], table))
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    write_json(OUTPUT, {"machine": machine(), "versions": versions(), "by images": found})


if __name__ == "__main__":
    main()
