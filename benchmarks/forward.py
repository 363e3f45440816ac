"""A forward pass in bf16 and float32, as it is and compiled by torch.compile.

    python benchmarks/forward.py

EfficientNet-lite0 and EfficientNetV2-L at 224 px on the device that training takes, frozen; compiling folds
batch-norm into the convolutions ("freezing").  Medians of alternating passes.  It is why a run measures its
precision (`wbc.training.precision`), and why nothing is compiled.  Prints a Markdown table, writes
outputs/benchmarks/forward.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from tqdm import tqdm
from train_step import machine

from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

NETWORKS = {"tf_efficientnet_lite0": 32, "tf_efficientnetv2_l": 8}  # with their batch sizes
PASSES = {
    "bf16": (torch.bfloat16, False),
    "float32": (torch.float32, False),
    "bf16, compiled": (torch.bfloat16, True),
    "float32, compiled": (torch.float32, True),
}


def forward(network: Network, dtype: torch.dtype, device: str, *, compiled: bool) -> Callable[[Any], Any]:
    """A pass without a gradient."""
    run = network
    if compiled:
        run = torch.compile(network, dynamic=False, options={"freezing": True})  # type: ignore[assignment]

    @torch.no_grad()
    def one_pass(images: torch.Tensor) -> None:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            run(images)
        if device == "cuda":
            torch.cuda.synchronize()

    return one_pass


def seconds(run: Callable[[Any], Any], images: torch.Tensor) -> float:
    started = time.perf_counter()
    run(images)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    device = "cuda" if torch.cuda.is_available() else "cpu"
    records = []
    for name, batch_size in NETWORKS.items():
        network = Network(Backbone(name, 224), ["a", "b", "c", "d", "e"]).eval().to(device)
        images = torch.randint(0, 256, (batch_size, 3, 224, 224), dtype=torch.uint8).to(device)
        runs = {row: forward(network, dtype, device, compiled=c) for row, (dtype, c) in PASSES.items()}
        first = {row: seconds(run, images) for row, run in tqdm(runs.items(), f"starting {name}")}
        times: dict[str, list[float]] = {row: [] for row in runs}
        for _ in tqdm(range(rounds), name):
            for row, run in runs.items():
                times[row].append(seconds(run, images))
        for row, values in times.items():
            ms = 1000 * median(values) / batch_size
            records.append({"network": name, "pass": row, "ms/image": ms, "first pass s": first[row]})
    rows = [[r["network"], r["pass"], f"{r['ms/image']:.1f}", f"{r['first pass s']:.1f}"] for r in records]
    print(f"on {machine()['gpu'] or machine()['cpu']}\n")
    print(markdown_table(list(records[0]), rows))
    write_json(
        "outputs/benchmarks/forward.json", {"versions": versions(), "machine": machine(), "rows": records}
    )


if __name__ == "__main__":
    main()
