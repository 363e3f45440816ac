"""The figure of a sweep's jobs: its dots have room however much differs between the jobs."""

import itertools
import warnings

import pytest

from wbc.training.sweep_report import SweepJob, _figure

MANY = [
    "phase.finetune.lr=0.000229",
    "model.dropout=0.458",
    "training.batch_size=16",
    "phase.finetune.unfreeze_last=60",
    "model.backbone=vit_small_patch16_224.augreg_in1k",
    "data.augment.blur=0.25",
]


def job(number: int) -> SweepJob:
    interval = {"low": 0.4, "high": 0.6}
    return SweepJob(number, MANY, 0.5, {"macro_f1": 0.5, "macro_f1_interval": interval})


@pytest.mark.parametrize("count", [1, 3, 20])
def test_six_settings_leave_half_of_the_width_to_the_dots(count):
    jobs = [job(number) for number in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib's where axes have collapsed
        figure = _figure(jobs, [" ".join(MANY)] * count)
        figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_position().width > 0.5
    labels = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(labels))
