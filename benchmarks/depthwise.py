"""Depthwise convolutions in bf16 and float32 on the CPU, forward and backward.

    python benchmarks/depthwise.py

The shapes are those of EfficientNet-lite0 and EfficientNetV2-L, 16 images each.  Prints a Markdown table of
milliseconds, medians of alternating runs, and writes outputs/benchmarks/depthwise.json.  It is why
`wbc.training.precision` trains some of them in float32.
"""

from __future__ import annotations

import time
from statistics import median

import torch
from tqdm import tqdm

from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

IMAGES = 16
ROUNDS = 7
SHAPES = [  # channels, side, kernel, stride
    (144, 56, 3, 1),
    (240, 28, 3, 2),
    (240, 28, 5, 1),
    (480, 14, 3, 1),
    (672, 14, 5, 1),
    (672, 14, 5, 2),
    (1152, 7, 3, 1),
    (1152, 7, 5, 1),
    (3840, 7, 3, 1),
]


def step_ms(shape: tuple[int, int, int, int], dtype: torch.dtype) -> tuple[float, float]:
    """Milliseconds of one forward and one backward pass."""
    channels, side, kernel, stride = shape
    convolution = torch.nn.Conv2d(
        channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False
    )
    convolution = convolution.to(dtype=dtype, memory_format=torch.channels_last)
    values = torch.randn(IMAGES, channels, side, side, dtype=dtype).to(memory_format=torch.channels_last)
    values.requires_grad_()
    started = time.perf_counter()
    loss = convolution(values).sum()
    between = time.perf_counter()
    loss.backward()
    return 1000 * (between - started), 1000 * (time.perf_counter() - between)


def main() -> None:
    records = []
    for shape in tqdm(SHAPES, "shapes"):
        times: dict[str, list[tuple[float, float]]] = {"bf16": [], "float32": []}
        for _ in range(ROUNDS):
            times["bf16"].append(step_ms(shape, torch.bfloat16))
            times["float32"].append(step_ms(shape, torch.float32))
        record = dict(zip(("channels", "side", "kernel", "stride"), shape, strict=True))
        for name, pairs in times.items():
            forward, backward = zip(*pairs[1:], strict=True)  # the first makes oneDNN's kernels
            record |= {f"{name} forward": median(forward), f"{name} backward": median(backward)}
        records.append(record)
    headers = list(records[0])
    rows = [[f"{v:.2f}" if isinstance(v, float) else v for v in record.values()] for record in records]
    print(markdown_table(headers, rows))
    write_json("outputs/benchmarks/depthwise.json", {"versions": versions(), "rows": records})


if __name__ == "__main__":
    main()
