"""What a phase decides by the number of its images."""

from types import SimpleNamespace

import pytest

from tests.helpers.configs import composed
from wbc.training.phases import _trains_batch_norm


@pytest.mark.parametrize(
    ("words", "images", "trains"),
    [
        (["model=efficientnet_lite0"], 170, False),
        (["model=efficientnet_lite0"], 1000, True),
        (["model=efficientnet_lite0", "phase.finetune.batch_norm=trainable"], 170, True),
        (["model=efficientnetv2_l"], 170, True),  # the original's
        (["experiment=other_labs", "data.root=x"], 5000, False),
    ],
)
def test_few_images_leave_batch_norms_as_imagenet_had_them(words, images, trains):
    fit = composed(*words).phase.finetune
    assert _trains_batch_norm(fit, SimpleNamespace(rows={"train": range(images)})) is trains
