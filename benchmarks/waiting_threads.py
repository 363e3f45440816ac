"""What threads that sleep at barriers cost on an idle machine, and save where another program holds a core.

    python benchmarks/waiting_threads.py

EfficientNet-lite0 at 224 px, batches of 32: a forward pass, and a step that trains its last 50 layers.
OpenMP's threads wait for each other as torch has them (they spin 300,000 times before they sleep), with
OMP_WAIT_POLICY=PASSIVE (they sleep) and with a short GOMP_SPINCOUNT, each in a process of its own, in turns;
then the same beside a program that never rests.  Medians over rounds.  It is why the commands choose PASSIVE
(`wbc.settings.command`).  Prints a Markdown table, writes outputs/benchmarks/waiting_threads.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tqdm import tqdm

BATCH = 32
POLICIES: dict[str, dict[str, str]] = {
    "as torch has it": {},
    "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"},
    "spinning 20,000 times": {"GOMP_SPINCOUNT": "20000"},
}
_BUSY = "while True: pass"


def measure() -> dict[str, float]:
    """Milliseconds an image of a forward pass and of a training step, in this process."""
    import torch

    from wbc.network.backbone import Backbone
    from wbc.network.network import Network

    network = Network(Backbone("tf_efficientnet_lite0", 224), ["a", "b", "c", "d", "e"]).eval()
    network.backbone.freeze(50)
    images = torch.randint(0, 256, (BATCH, 3, 224, 224), dtype=torch.uint8)
    with torch.no_grad():
        values = network.frozen(images)

    def forward() -> None:
        with torch.no_grad():
            network(images)

    def step() -> None:
        network.from_frozen(values).square().mean().backward()

    return {"forward": _ms_an_image(forward), "training step": _ms_an_image(step)}


def _ms_an_image(run: Callable[[], None], times: int = 6) -> float:
    run()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        taken.append((time.perf_counter() - started) / BATCH * 1e3)
    return median(taken)


def measured_apart(policy: dict[str, str]) -> dict[str, float]:
    """`measure` in a new process under `policy`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, __file__, "--child"]
    printed = subprocess.run(command, env=environment | policy, check=True, capture_output=True, text=True)
    return json.loads(printed.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure()))
        return
    from train_step import machine

    from wbc.settings.run_folder import versions
    from wbc.utils.files import write_json
    from wbc.utils.text_tables import markdown_table

    rows, records = [], []
    for beside in ("nothing", "a program that never rests"):
        busy = None if beside == "nothing" else subprocess.Popen([sys.executable, "-c", _BUSY])
        try:
            rounds = [
                {name: measured_apart(policy) for name, policy in POLICIES.items()}
                for _ in tqdm(range(given.rounds), desc=f"beside {beside}")
            ]
        finally:
            if busy is not None:
                busy.kill()
        for what in ("forward", "training step"):
            ms = {name: median(one[name][what] for one in rounds) for name in POLICIES}
            rows.append([what, beside, *(f"{one:.1f}" for one in ms.values())])
        records.append({"beside": beside, "rounds": rounds})
        print(markdown_table(["ms an image", "beside", *POLICIES], rows), flush=True)
        write_json(
            Path("outputs/benchmarks/waiting_threads.json"),
            {"machine": machine(), "versions": versions(), "measured": records},
        )


if __name__ == "__main__":
    main()
