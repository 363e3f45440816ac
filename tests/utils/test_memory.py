"""That freed memory is kept: pages are not cleared anew for every step."""

import subprocess
import sys

import pytest

from tests.helpers.places import ROOT

FAULTS = """
import resource, torch
from wbc.utils.memory import keep_freed_memory
if {keep}: keep_freed_memory()
torch.set_num_threads(1)
image = torch.zeros(16, 3, 224, 224)
layers = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3))
with torch.inference_mode():
    layers(image)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        layers(image)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="malloc is told so on Linux only")
def test_freed_memory_is_used_again() -> None:
    counts = [
        int(
            subprocess.run(
                [sys.executable, "-c", FAULTS.format(keep=keep)],
                check=True,
                capture_output=True,
                text=True,
                cwd=ROOT,
            ).stdout
        )
        for keep in (False, True)
    ]
    assert counts[0] > 100_000, "glibc gives blocks of megabytes back, or this test shows nothing"
    assert counts[1] < counts[0] / 4
