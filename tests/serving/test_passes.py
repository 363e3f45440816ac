"""Passes of the network: shared by what waits, and none that fails takes another with it."""

import asyncio
import threading

import numpy as np
import pytest
import torch

from tests.helpers.trees import picture, write_image
from wbc.answers.predictor import Predictor
from wbc.serving.passes import Passes
from wbc.serving.service import Service, Upload


def test_waiting_requests_share_a_pass(small):
    """While the first pass runs the others gather."""
    started, go_on, sizes = threading.Event(), threading.Event(), []
    compute = small.outputs

    class Slow:
        def outputs(self, pixels):
            sizes.append(len(pixels))
            started.set()
            assert go_on.wait(20)
            return compute(pixels)

    passes = Passes(Slow(), 4)
    pixels = torch.randint(0, 255, (7, 3, 64, 64), dtype=torch.uint8, generator=torch.manual_seed(1))
    coming = [passes.outputs(pixels[:1])]
    assert started.wait(20)
    coming += [passes.outputs(one[None]) for one in pixels[1:]]
    assert coming[6].cancel()  # who asked has gone
    go_on.set()
    passes.close()  # answers what waits
    assert sizes == [1, 4, 1]
    assert passes.computed == 3
    together = compute(pixels)
    for number, one in enumerate(coming[:6]):
        for found, expected in zip(one.result(0), together, strict=True):
            np.testing.assert_allclose(found[0], expected[number], atol=1e-4)


def test_a_pass_that_fails_is_told_to_its_own_and_the_next_is_computed(small, tmp_path):
    class Failing(Predictor):
        fails = 1

        def outputs(self, pixels):
            if len(pixels) and self.fails:
                self.fails -= 1
                raise MemoryError("no room")
            return super().outputs(pixels)

    broken = Failing(small.network, small.rule)
    service = Service(broken, "hash", 4, 10**6)
    upload = Upload("a", write_image(tmp_path / "a.png", picture(0, 70)).read_bytes())
    with pytest.raises(MemoryError):
        asyncio.run(service.answer([upload]))
    assert asyncio.run(service.answer([upload]))["pictures"][0]["answer"]["prediction"]
    service.close()
