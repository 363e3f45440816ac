"""One training step of the recipe in each phase, beside the same step in plain Keras.

    python benchmarks/train_step.py

EfficientNetV2-L at 224 px, batches of 8: time per image and peak memory.  Each row is a process of its own;
they take turns within every round, so that a change in the machine's load meets all of them.  Times are
medians over all steps of all rounds, with the lowest and highest round's median beside them.  The first run
makes an environment for Keras.  Prints a Markdown table, writes outputs/benchmarks/train_step.json.
"""

from __future__ import annotations

import argparse
import platform
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

import torch
from environments import EnvironmentUnavailableError
from keras_environment import keras_python
from step_child import StepChild, child_command
from tqdm import tqdm

from wbc.settings.run_folder import versions
from wbc.training.precision import resolve_precision
from wbc.utils.files import write_json
from wbc.utils.text_tables import NOT_MEASURED, markdown_table

PHASES = ("head", "finetune")
KERAS = "Keras"
BATCH_SIZE = 8
IMAGE_SIZE_PX = 224
WARM_UP_STEPS = 3  # compiling, memory, and choosing algorithms
OUTPUT = Path("outputs/benchmarks/train_step.json")


@dataclass
class Step:
    """One row: what is measured, how it is started, and what it answered in each round."""

    phase: str
    name: str
    command: list[str]
    rounds: list[list[float]] = field(default_factory=list)  # seconds of each step
    description: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> list[float]:
        return [second for one_round in self.rounds for second in one_round]

    def ms_per_image(self, seconds: Sequence[float]) -> float:
        return 1000 * median(seconds) / BATCH_SIZE

    def record(self) -> dict[str, Any]:
        """The row as plain numbers."""
        return {
            "phase": self.phase,
            "step": self.name,
            **self.description,
            "ms_per_image": round(self.ms_per_image(self.seconds), 3),
            "ms_per_image_by_round": [round(self.ms_per_image(one), 3) for one in self.rounds],
            "step_seconds": [[round(second, 5) for second in one] for one in self.rounds],
        }


def steps_to_measure(python_of_keras: Path | None) -> list[Step]:
    """Keras first in each phase, then ours: on the CPU as `auto` chooses and in float32, on a GPU too."""
    ours = [("cpu", precision) for precision in _precisions("cpu")]
    if torch.cuda.is_available():
        ours += [("gpu", precision) for precision in _precisions("gpu")]
    sizes = [str(BATCH_SIZE), str(IMAGE_SIZE_PX)]
    steps = []
    for phase in PHASES:
        if python_of_keras is not None:
            command = child_command(python_of_keras, "keras_step.py", [phase, *sizes])
            steps.append(Step(phase, KERAS, command))
        for accelerator, precision in ours:
            command = child_command(sys.executable, "our_step.py", [phase, precision, accelerator, *sizes])
            steps.append(Step(phase, f"ours, {precision}, {accelerator}", command))
    return steps


def _precisions(accelerator: str) -> list[str]:
    """What `auto` chooses here, and float32."""
    return list(dict.fromkeys([resolve_precision("auto", accelerator), "32-true"]))


def measure(steps: Sequence[Step], rounds: int, steps_a_round: int) -> None:
    """Start all processes, then let them take turns; an error or Ctrl-C ends them all."""
    with ExitStack() as stack, tqdm(total=len(steps) * (1 + rounds), unit="turn") as bar:
        children = []
        for step in steps:
            bar.set_description(f"starting {step.phase}: {step.name}")
            children.append(stack.enter_context(StepChild(step.command)))
            children[-1].ask(WARM_UP_STEPS)
            bar.update()
        for number in range(1, rounds + 1):
            for step, child in zip(steps, children, strict=True):
                bar.set_description(f"round {number}, {step.phase}: {step.name}")
                answer = child.ask(steps_a_round)
                step.rounds.append(answer.pop("seconds"))
                step.description = answer
                bar.update()


def table(steps: Sequence[Step]) -> str:
    """One row a step; ratios are to Keras's time in the same phase."""
    rows = []
    for step in steps:
        keras = next((other for other in steps if (other.phase, other.name) == (step.phase, KERAS)), None)
        by_round = [step.ms_per_image(one) for one in step.rounds]
        ratio = NOT_MEASURED
        if keras is not None:
            ratio = f"{step.ms_per_image(step.seconds) / keras.ms_per_image(keras.seconds):.2f}"
        memory = step.description["peak_memory_mib"]
        rows.append(
            [
                step.phase,
                step.name if step is not keras else f"{KERAS}, float32, {step.description['device']}",
                f"{step.ms_per_image(step.seconds):.1f}",
                f"{min(by_round):.1f} to {max(by_round):.1f}",
                ratio,
                NOT_MEASURED if memory is None else f"{memory:.0f}",
            ]
        )
    headers = ["phase", "step", "ms/image", "by round", "of Keras's time", "peak memory MiB"]
    return markdown_table(headers, rows)


def machine() -> dict[str, Any]:
    """What the times depend on."""
    return {
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each row (default: 5)")
    parser.add_argument("--steps", type=int, default=4, help="steps a turn (default: 4)")
    parser.add_argument("--without-keras", action="store_true", help="measure our own steps only")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.steps) < 1:
        parser.error("--rounds and --steps must be 1 or more")
    return arguments


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes below are ended too
    started = datetime.now(timezone.utc)
    keras, why_no_keras = None, "left out (--without-keras)"
    if not arguments.without_keras:
        try:
            keras, why_no_keras = keras_python(), None
        except EnvironmentUnavailableError as error:
            why_no_keras = str(error)
    steps = steps_to_measure(keras)
    try:
        measure(steps, arguments.rounds, arguments.steps)
    except KeyboardInterrupt:
        sys.exit("stopped; nothing was written")
    here = machine()
    print(f"\nEfficientNetV2-L, {IMAGE_SIZE_PX} px, batch {BATCH_SIZE}, on {here['cpu']}")
    print(f"\n{table(steps)}\n")
    if why_no_keras:
        print(f"Keras not measured: {why_no_keras}\n")
    write_json(
        OUTPUT,
        {
            "started": started.isoformat(timespec="seconds"),
            "ended": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": here,
            "batch_size": BATCH_SIZE,
            "image_size_px": IMAGE_SIZE_PX,
            "rounds": arguments.rounds,
            "steps_a_round": arguments.steps,
            "keras_not_measured": why_no_keras,
            "rows": [step.record() for step in steps],
            "versions": versions(),
        },
    )
    print(f"written to {OUTPUT}")


if __name__ == "__main__":
    main()
