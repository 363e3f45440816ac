"""What it costs to tell which known cells an answer is like: explanations and answers with and without them.

    python benchmarks/known_cells.py <run>/model.ckpt --cells <pbc>/val

Whole explain jobs (Grad-CAM, panels and gallery), and answers of pictures in memory, by one model and by the
same without the names of its known cells.  They take turns; medians over rounds of the processor's time, and
of the differences within a round.  The first round fills caches and is not counted.  Prints a Markdown table,
writes outputs/benchmarks/known_cells.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from hydra import compose, initialize_config_dir
from our_step import CONF
from tqdm import tqdm

from wbc.answers.checkpoint import load_model, load_provenance, save_model
from wbc.explaining.job import explain
from wbc.images.decode import decode
from wbc.settings.explain import ExplainConfig
from wbc.settings.layout import MANIFEST, MODEL
from wbc.settings.parse import parse_as
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/known_cells.json")


def seconds(run: Callable[[], Any]) -> float:
    """Of computing, by all threads: other work on the machine hardly changes them."""
    started = time.process_time()
    run()
    return time.process_time() - started


def taking_turns(runs: list[Callable[[], Any]], rounds: int, title: str) -> list[list[float]]:
    """Seconds of each run in each round but the first; who begins changes from round to round."""
    times: list[list[float]] = [[] for _ in runs]
    for number in tqdm(range(rounds + 1), title):
        order = list(range(len(runs)))
        for which in order[:: 1 if number % 2 else -1]:
            took = seconds(runs[which])
            if number:
                times[which].append(took)
    return times


def explained(checkpoint: Path, images: Path, per_class: int, folder: Path) -> int:
    """A whole job; returns the bytes of its gallery."""
    settings = [
        *(f"checkpoint={checkpoint}", f"images={images}", f"per_class={per_class}"),
        *("device=cpu", "runtime=torch"),
    ]
    with initialize_config_dir(str(CONF / "explain"), version_base="1.3"):
        config = parse_as(ExplainConfig, compose("config", settings))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        explain(config, Path(scratch))
        return (Path(scratch) / "gallery.html").stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--cells", type=Path, required=True, help="class folders")
    parser.add_argument("--per-class", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    predictor = load_model(given.checkpoint)
    if predictor.known is None:
        parser.error(
            f"{given.checkpoint} keeps no names of known cells: train it anew, with the default rule"
        )
    known = len(predictor.known.names)
    folders = sorted(folder for folder in given.cells.iterdir() if folder.is_dir())
    paths = [path for folder in folders for path in sorted(folder.iterdir())[: given.per_class]]
    pictures = [decode(path) for path in paths]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        without = load_model(given.checkpoint)
        without.known = None
        save_model(without, scratch / MODEL, load_provenance(given.checkpoint))
        (scratch / MANIFEST).write_bytes((given.checkpoint.parent / MANIFEST).read_bytes())
        sizes = [given.checkpoint.stat().st_size, (scratch / MODEL).stat().st_size]
        jobs = (given.checkpoint, scratch / MODEL)
        galleries = [explained(one, given.cells, given.per_class, scratch) for one in jobs]
        times = {
            "an explanation, whole job": taking_turns(
                [
                    lambda one=one: explained(one, given.cells, given.per_class, scratch)  # type: ignore[misc]
                    for one in jobs
                ],
                given.rounds,
                "explanations",
            ),
            "an answer": taking_turns(
                [lambda one=one: one.predict(pictures) for one in (predictor, without)],  # type: ignore[misc]
                given.rounds,
                "answers",
            ),
        }
    rows = []
    for what, (with_them, alone) in times.items():
        scale = 1000 / len(paths)
        more = [scale * (one - other) for one, other in zip(with_them, alone, strict=True)]
        before, after = (scale * median(one) for one in (alone, with_them))
        told = f"{median(more):.1f} ({min(more):.1f}, {max(more):.1f})"
        rows.append([what, f"{before:.1f}", f"{after:.1f}", told, f"{100 * median(more) / before:.0f} %"])
    print(f"\n{len(paths)} images, {known} known cells, {given.rounds} rounds\n")
    print(markdown_table(["of", "CPU ms/image without", "with", "more", "share"], rows))
    print(f"\nmodel.ckpt: {sizes[0] - sizes[1]:,} of {sizes[0]:,} bytes; gallery: {galleries} bytes")
    both_of = ("with", "without")
    write_json(
        OUTPUT,
        {
            "versions": versions(),
            "images": len(paths),
            "known_cells": known,
            "seconds": {what: dict(zip(both_of, both, strict=True)) for what, both in times.items()},
            "model_bytes": dict(zip(both_of, sizes, strict=True)),
            "gallery_bytes": dict(zip(both_of, galleries, strict=True)),
        },
    )


if __name__ == "__main__":
    main()
