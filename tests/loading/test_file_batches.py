"""Batches of files: in order, the next one made while one is used."""

import threading

import numpy as np
import pytest

from tests.helpers.trees import picture, write_image
from wbc.images.prepare import Prepare
from wbc.loading.file_batches import FileBatches, batch_loader, files_in_batches


class Watched(FileBatches):
    """Notes which batches were asked for, and fails at one."""

    def __init__(self, *given, fails_at=None):
        super().__init__(*given)
        self.asked, self.fails_at, self.second = [], fails_at, threading.Event()

    def __getitem__(self, number):
        self.asked.append(number)
        if number == self.fails_at:
            raise OSError("gone")
        if len(self.asked) == 2:
            self.second.set()
        return super().__getitem__(number)


@pytest.fixture
def paths(tmp_path):
    return [str(write_image(tmp_path / f"{number}.png", picture(number, 32))) for number in range(7)]


def watched(paths, **given):
    return Watched(files_in_batches(paths, 2), Prepare(32), **given)


def test_the_next_batch_is_made_while_one_is_used_and_no_more(paths):
    batches = watched(paths)
    stream = batch_loader(batches, [3, 0, 2], workers=0)
    first = next(stream)
    assert batches.second.wait(20)
    assert batches.asked == [3, 0]
    np.testing.assert_array_equal(first.pixels[0].permute(1, 2, 0), picture(6, 32))
    assert [batch.number for batch in stream] == [0, 2]
    assert batches.asked == [3, 0, 2]


def test_one_who_stops_early_waits_for_no_more_than_that(paths):
    batches = watched(paths)
    stream = batch_loader(batches, range(4), workers=0)
    next(stream)
    stream.close()
    assert batches.asked == [0, 1]


def test_what_fails_ahead_is_raised_in_its_turn(paths):
    stream = batch_loader(watched(paths, fails_at=1), range(4), workers=0)
    assert next(stream).number == 0
    with pytest.raises(OSError, match="gone"):
        next(stream)
