"""What explanations cost: Grad-CAM beside a training pass, LIME by two engines beside its passes, memory.

    python benchmarks/explain.py

EfficientNet-lite0 at 224 px on drawn pixels, on the CPU in float32.  Times are medians of rounds that take
turns.  Whole jobs, panels and gallery included, explain 200 files and then 2,000 more; memory is what the
process has resident after each.  Prints Markdown tables, writes outputs/benchmarks/explain.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from our_step import CONF
from PIL import Image
from tqdm import tqdm

from wbc.answers.checkpoint import save_model
from wbc.answers.predictor import Predictor
from wbc.explaining.job import explain
from wbc.heat.cams import ClassActivationMap
from wbc.heat.lime import Lime
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.settings.explain import ExplainConfig
from wbc.settings.parse import parse_as
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/explain.json")
SIDE = 224
BATCH_SIZE = 16
LIME_BATCH_SIZES = (4, 8, 16, 32, 64)


def network() -> Network:
    """Random weights: they change no time."""
    torch.manual_seed(0)
    return Network(Backbone("tf_efficientnet_lite0", SIDE), CLASSES).eval()


def seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def cam_times(images: int, rounds: int) -> dict[str, list[float]]:
    """Seconds for `images` images: forward and backward through the whole network, and Grad-CAM."""
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH_SIZE, 3, SIDE, SIDE)
    batch = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    targets = torch.zeros(BATCH_SIZE, dtype=torch.int64)
    trained = network()
    cam = ClassActivationMap(network(), "gradcam")

    def one_pass() -> None:
        trained.zero_grad()
        trained(batch)[:, 0].sum().backward()

    runs = {"forward and backward": one_pass, "Grad-CAM": lambda: cam(batch, targets)}
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    batches = -(-images // BATCH_SIZE)
    for _ in tqdm(range(rounds), "Grad-CAM"):
        for name, run in runs.items():
            times[name].append(sum(seconds(run) for _ in range(batches)))
    return times


def lime_times(samples: int, rounds: int) -> tuple[int, dict[str, list[float]]]:
    """The batch size in which a forward pass is fastest; seconds for as many of them, and for LIME in it by
    torch and by OpenVINO, whose conversion is not counted.
    """
    net = network()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE)))

    def passes(batch_size: int, count: int) -> None:
        images = torch.from_numpy(image).permute(2, 0, 1).expand(count, 3, SIDE, SIDE).contiguous()
        with torch.inference_mode():
            for batch in images.split(batch_size):
                net(batch)

    rates = {}
    for size in tqdm(LIME_BATCH_SIZES, "best batch size"):
        passes(size, size)
        rates[size] = median(seconds(lambda size=size: passes(size, 128)) for _ in range(3))
    best = min(rates, key=lambda size: rates[size])
    runs = {"forward passes": lambda: passes(best, samples)}
    for engine in ("torch", "openvino"):
        predictor = Predictor(net).by(engine)
        predictor.runtime.expect(10**6)
        lime = Lime(predictor.network_logits, samples, batch_size=best)
        Lime(predictor.network_logits, best, batch_size=best).explain(image, 0)  # converts
        runs[f"LIME by {engine}"] = lambda lime=lime: lime.explain(image, 0)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in tqdm(range(rounds), "LIME"):
        for name, run in runs.items():
            times[name].append(seconds(run))
    return best, times


def whole_jobs(counts: tuple[int, int]) -> list[tuple[float, float]]:
    """Seconds, and MiB that the process holds, after explaining so many files, one job after the other."""
    found = []
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        save_model(Predictor(network()), Path(scratch) / "model.ckpt", {})
        for count in counts:
            folder = Path(scratch) / f"{count}"
            folder.mkdir()
            for number in range(count):
                pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((96, 96)).save(folder / f"{number}.png")
            settings = [f"checkpoint={scratch}/model.ckpt", f"images={folder}", "methods=[gradcam]"]
            with initialize_config_dir(str(CONF / "explain"), version_base="1.3"):
                config = parse_as(ExplainConfig, compose("config", settings))
            took = seconds(lambda config=config, count=count: explain(config, Path(scratch) / f"run_{count}"))
            found.append((took, _resident_bytes() / 2**20))
    return found


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--files", type=int, nargs=2, default=[200, 2000])
    options = parser.parse_args()
    jobs = whole_jobs(tuple(options.files))
    cam = cam_times(options.images, options.rounds)
    best, lime = lime_times(options.samples, options.rounds)
    rows = []
    for what, times in ((f"{options.images} images", cam), (f"{options.samples} passes of {best}", lime)):
        base = median(next(iter(times.values())))
        rows += [[what, name, f"{median(t):.1f}", f"{median(t) / base:.2f}"] for name, t in times.items()]
    print("\n" + markdown_table(["", "", "s", "of the passes"], rows) + "\n")
    ratio = jobs[1][1] / jobs[0][1]
    rows = [
        [str(count), f"{took:.0f}", f"{1000 * took / count:.1f}", f"{mib:.0f}"]
        for count, (took, mib) in zip(options.files, jobs, strict=True)
    ]
    headers = ["files explained", "whole job, s", "ms/image", "resident MiB"]
    print(markdown_table(headers, rows) + f"\n\nratio of memory {ratio:.3f}")
    write_json(
        OUTPUT,
        {
            "versions": versions(),
            "grad_cam_seconds": cam,
            "lime_seconds": lime,
            "lime_batch_size": best,
            "whole_jobs": {
                str(count): {"seconds": took, "resident_mib": mib}
                for count, (took, mib) in zip(options.files, jobs, strict=True)
            },
        },
    )


if __name__ == "__main__":
    main()
