"""What an exported model gains in int8, and what it loses.

    python benchmarks/int8.py <run>/model.ckpt --tests <folder of classes> [<folder> ...]

The network is written in float32 and in int8, by the run's validation images.  First table: size, and
milliseconds of one core for an image (CPU time of the process, one thread, batches of 32, alternating, median
of `--rounds`), beside torch.  Second: each test by both, labels that differ, and how far probabilities do.
Prints Markdown tables, writes outputs/benchmarks/int8.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from train_step import machine

from wbc.answers.checkpoint import load_model, load_provenance
from wbc.answers.predictor import Predictor
from wbc.datasets.find_images import find_images
from wbc.exporting.graph import write_graph
from wbc.exporting.int8 import with_int8
from wbc.labels import names_of_model
from wbc.metrics.classification import classification_metrics
from wbc.plain.answers import ANSWERED
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table, percent

OUTPUT = Path("outputs/benchmarks/int8.json")
BATCH = 32


def core_ms(computed: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Of one image."""
    found: dict[str, list[float]] = {name: [] for name in computed}
    for compute in computed.values():
        compute()
    for _ in range(rounds):
        for name, compute in computed.items():
            started = time.process_time()
            compute()
            found[name].append((time.process_time() - started) / BATCH * 1e3)
    return {name: statistics.median(values) for name, values in found.items()}


def session(path: Path, batch: np.ndarray) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    one = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: one.run(None, {"pixels": batch})


def measured(models: dict[str, Predictor], rows: Any, name: str) -> dict[str, Any]:
    """A row of the second table."""
    truth = torch.tensor([models["float32"].classes.index(label) for label in rows["label"]])
    told, found = {}, {}
    for kind, model in models.items():
        outputs, answers, _ = model.answer_files(rows["path"].tolist(), BATCH, None, f"{name} by {kind}")
        metrics = classification_metrics(outputs.logits.double().softmax(dim=1), truth, model.classes)
        right = np.array(answers.labels) == rows["label"].to_numpy()
        answered = np.array(answers.status) == ANSWERED
        told[kind] = {
            "macro_f1": metrics["macro_f1"],
            "answered": float(answered.mean()),
            "right": float(right[answered].mean()) if answered.any() else None,
        }
        found[kind] = answers
    one, other = found.values()
    return {
        "set": name,
        "images": len(rows),
        **told,
        "other_labels": sum(a != b for a, b in zip(one.labels, other.labels, strict=True)),
        "gap": float(np.abs(one.probabilities - other.probabilities).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--tests", type=Path, nargs="+", required=True)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    predictor = load_model(given.checkpoint)
    names = names_of_model(predictor.classes, load_provenance(given.checkpoint))
    known = find_images("val", names, given.checkpoint)
    size = predictor.network.image_size_px
    batch = np.random.default_rng(0).integers(0, 256, (BATCH, 3, size, size)).astype(np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        files = {kind: Path(scratch) / kind / "network.onnx" for kind in ("float32", "int8")}
        for path in files.values():
            path.parent.mkdir()
            write_graph(predictor.network, "onnx", path.parent)
        by_int8, figures = with_int8(
            predictor, known["path"].tolist(), known["label"].tolist(), files["int8"].parent
        )
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        pixels = torch.from_numpy(batch)

        def by_torch() -> None:
            with torch.inference_mode():
                predictor.network.features(pixels)

        sessions = {kind: session(path, batch) for kind, path in files.items()}
        speed = core_ms({"torch": by_torch, **sessions}, given.rounds)
        torch.set_num_threads(threads)
        sizes = {kind: path.stat().st_size / 1e6 for kind, path in files.items()}
        models = {"float32": predictor, "int8": by_int8}
        rows = [
            measured(models, find_images(str(test), names, given.checkpoint), "/".join(test.parts[-2:]))
            for test in given.tests
        ]
    print(
        markdown_table(
            ["network", "MB", "ms an image, one core"],
            [
                [kind, f"{sizes[kind]:.1f}" if kind in sizes else "", f"{value:.2f}"]
                for kind, value in speed.items()
            ],
        )
    )
    shown = [
        [
            row["set"],
            f"{row['images']:,}",
            *(percent(row[kind][figure]) for figure in ("macro_f1", "answered", "right") for kind in models),
            str(row["other_labels"]),
            f"{row['gap']:.4f}",
        ]
        for row in rows
    ]
    figures_of = ("macro F1", "answered", "accuracy when answered")
    header = [f"{figure}, {kind}" for figure in figures_of for kind in models]
    print(markdown_table(["", "images", *header, "other labels", "mean gap of probabilities"], shown))
    told = {"machine": machine(), "versions": versions(), "model": str(given.checkpoint)}
    write_json(OUTPUT, told | {"speed": speed, "megabytes": sizes, "validation": figures, "tests": rows})


if __name__ == "__main__":
    main()
