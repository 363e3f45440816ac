"""Signals that are noted for work that asks, and those that raise at once."""

import os
import signal

import pytest

from wbc.utils import stopping


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(stopping, "_asked", None)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_is_noted_and_a_second_raises(sent, code):
    """Raised at any line of a training it could leave a lock closed, and the command did not end."""
    stopping.note_signals()
    assert not stopping.is_asked_to_stop()
    os.kill(os.getpid(), sent)
    assert stopping.is_asked_to_stop()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert stopping.exit_code() == code


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_elsewhere_each_raises_at_once(sent):
    stopping.heed_signals()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), sent)
    assert stopping.is_asked_to_stop()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_work_with_a_way_of_its_own_is_told_each_time(sent, code):
    told = []
    stopping.hand_signals_to(lambda: told.append(stopping.is_asked_to_stop()))
    for _ in range(2):
        os.kill(os.getpid(), sent)
    assert told == [True, True]
    assert stopping.exit_code() == code
