"""Training steps of 1x1 convolutions in bf16 on the CPU, as convolutions and as products of matrices.

    python benchmarks/pointwise.py

The shapes are those of EfficientNet-lite0 in batches of 32 and of EfficientNetV2-L in batches of 8.  Prints a
Markdown table of milliseconds, forward and backward together, medians of alternating steps, and writes
outputs/benchmarks/pointwise.json.  It is why `wbc.network.pointwise` exists, and leaves small ones alone.
"""

from __future__ import annotations

import time
from statistics import median

import torch
import torch.nn.functional as F
from tqdm import tqdm

from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = "outputs/benchmarks/pointwise.json"
ROUNDS = 12
SHAPES = [  # images, channels in, channels out, side
    (32, 24, 144, 56),
    (32, 240, 80, 14),
    (32, 672, 192, 7),
    (32, 192, 1152, 7),
    (8, 640, 3840, 7),
    (8, 3840, 640, 7),
    (8, 640, 1280, 7),
]


class Product(torch.nn.Conv2d):
    """As `wbc.network.pointwise` has large ones computed, whatever the size."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.linear(values.permute(0, 2, 3, 1), self.weight.flatten(1)).permute(0, 3, 1, 2)


def step_ms(convolution: torch.nn.Conv2d, values: torch.Tensor, gradient: torch.Tensor) -> float:
    """Of one forward and one backward pass."""
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        result = convolution(values)
    result.backward(gradient)
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    records = []
    for images, narrow, wide, side in tqdm(SHAPES, "shapes"):
        convolutions = {
            name: kind(narrow, wide, 1, bias=False).to(memory_format=torch.channels_last)
            for name, kind in {"convolution": torch.nn.Conv2d, "product": Product}.items()
        }
        values = torch.randn(images, narrow, side, side).to(torch.bfloat16, memory_format=torch.channels_last)
        values.requires_grad_()
        gradient = torch.randn(images, wide, side, side).to(torch.bfloat16, memory_format=torch.channels_last)
        times: dict[str, list[float]] = {name: [] for name in convolutions}
        for _ in range(ROUNDS):
            for name, convolution in convolutions.items():
                times[name].append(step_ms(convolution, values, gradient))
        record: dict[str, float] = {"images": images, "in": narrow, "out": wide, "side": side}
        # The first make oneDNN's kernels.
        records.append(record | {f"{name}, ms": median(found[2:]) for name, found in times.items()})
    rows = [[f"{v:.2f}" if isinstance(v, float) else v for v in record.values()] for record in records]
    print(markdown_table(list(records[0]), rows))
    told = {"threads": torch.get_num_threads(), "versions": versions(), "rows": records}
    write_json(OUTPUT, told)


if __name__ == "__main__":
    main()
