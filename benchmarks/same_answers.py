"""Whether every engine and every exported format answers as torch does, on whole sets.

    python benchmarks/same_answers.py <model.ckpt> <folder of images> [<folder> ...]

Each image is answered by torch, by runtime=openvino, and by a folder exported as onnx, openvino and torch,
which runs in a process of its own.  Columns: how many have another class, set of classes or status, and how
far a probability is off at most.  Prints a Markdown table, writes outputs/benchmarks/same_answers.json.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from train_step import machine

from wbc.answers.checkpoint import load_model
from wbc.answers.predictor import Predictor
from wbc.datasets.class_folders import image_files
from wbc.exporting.description import write_description
from wbc.exporting.graph import write_graph
from wbc.exporting.plain_code import write_code
from wbc.exporting.sameness import Differences, differences, on_the_edge
from wbc.plain.answers import Answers
from wbc.settings.export import FORMATS
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/same_answers.json")


def answers_by(predictor: Predictor, runtime: str, paths: list[str]) -> Answers:
    return predictor.by(runtime).answer_files(paths, 32, None, f"{len(paths)} images by {runtime}")[1]


def between(one: Answers, other: Answers, predictor: Predictor, paths: list[str]) -> Differences:
    said = [list(zip(part.labels, part.sets, part.status, strict=True)) for part in (one, other)]
    edge = on_the_edge(one, predictor.rule, predictor.classes)
    differ = [place for place, (a, b) in enumerate(zip(*said, strict=True)) if a != b]
    others = [(paths[place], str(said[1][place]), str(said[0][place])) for place in differ if not edge[place]]
    gap = float(np.abs(one.probabilities - other.probabilities).max())
    return Differences(len(paths), others, len(differ) - len(others), gap)


def measured(predictor: Predictor, exported: dict[str, Path], folder: Path) -> list[dict[str, Any]]:
    """A row for each engine and format."""
    paths = image_files(folder)
    expected = answers_by(predictor, "torch", paths)
    found = {
        "runtime=openvino": between(expected, answers_by(predictor, "openvino", paths), predictor, paths)
    }
    for kind, place in exported.items():
        found[f"exported, {kind}"] = differences(expected, predictor.rule, predictor.classes, paths, place)
    name = "/".join(folder.parts[-2:])
    return [{"set": name, "by": by, **one._asdict()} for by, one in found.items()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    predictor = load_model(given.checkpoint)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        answering = [kind for kind in FORMATS if kind != "keras"]  # of which Keras makes no answers
        exported = {kind: Path(scratch) / kind / "model" for kind in answering}
        for kind, place in exported.items():
            place.mkdir(parents=True)
            write_graph(predictor.network, kind, place)
            write_description(predictor, place)
            write_code(kind, place)
        for folder in given.folders:
            rows += measured(predictor, exported, folder.absolute())
    shown = ("set", "images", "by")
    table = [
        [
            *(str(row[name]) for name in shown),
            str(len(row["others"])),
            str(row["on_the_edge"]),
            f"{row['probability_gap']:.1g}",
        ]
        for row in rows
    ]
    print(markdown_table([*shown, "other answers", "more on the edge", "largest difference"], table))
    write_json(OUTPUT, {"machine": machine(), "versions": versions(), "rows": rows})


if __name__ == "__main__":
    main()
