"""Killed or stopped at any moment, and given again: each verb leaves what it leaves undisturbed."""

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers.commands import Started, typed
from tests.helpers.small_verbs import VERBS, again, command, left, told

pytestmark = pytest.mark.slow

MOMENTS = {signal.SIGKILL: 20, signal.SIGTERM: 10}


@pytest.fixture(scope="module", params=VERBS)
def undisturbed(request, place, tmp_path_factory) -> tuple[str, dict, float]:
    """The verb, what it leaves, and the seconds that it takes."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    started = time.monotonic()
    ended = typed(*command(request.param, place, folder))
    assert ended.returncode == 0, ended
    return request.param, left(folder), time.monotonic() - started


@pytest.mark.parametrize("sent", MOMENTS, ids=lambda sent: sent.name)
def test_it_ends_as_if_it_had_not_been_disturbed(place, undisturbed, tmp_path, sent):
    verb, expected, seconds = undisturbed
    codes = []
    for number in range(MOMENTS[sent]):
        folder, ended, seconds = disturbed(verb, place, tmp_path / f"run_{number}", sent, number, seconds)
        assert "Traceback" not in ended.stdout + ended.stderr, ended
        # Before its first line a process dies of a signal; at its end it may have ended well.
        assert ended.returncode in (0, -sent, 128 + signal.SIGTERM), (number, ended)
        codes.append(ended.returncode)
        words = again(verb, place, folder)
        if ended.returncode == 128 + signal.SIGTERM:
            assert not half_written(folder), ended
            words = told(ended.stdout + ended.stderr, verb, place, folder)
        if ended.returncode != 0:
            resumed = typed(*words)
            finished = (
                resumed.returncode == 1 and "holds a run already" in resumed.stdout
            )  # it was at its end
            assert resumed.returncode == 0 or finished, (number, resumed)
        assert left(folder) == expected, number
    assert sum(code != 0 for code in codes) > len(codes) / 2
    print(verb, sent.name, {code: codes.count(code) for code in set(codes)}, "all equal")


def disturbed(
    verb: str, place: Path, folder: Path, sent: int, number: int, seconds: float
) -> tuple[Path, subprocess.CompletedProcess[str], float]:
    """Where a command ran that got the signal at a moment of its `seconds`, how it ended, and its seconds.

    On a machine that is quicker than before it may have ended first: then once more, by its own seconds.
    """
    moment = random.Random(f"{verb} {number}").random()
    for attempt in range(5):
        place_of_run = folder.with_name(f"{folder.name}_{attempt}")
        begun = time.monotonic()
        started = Started(*command(verb, place, place_of_run))
        started.process.join(moment * seconds)
        if started.process.is_alive():
            started.send(sent)
            return place_of_run, started.ended(30), seconds
        started.ended()
        seconds = time.monotonic() - begun
    raise AssertionError(f"{verb} ended before {moment:.2f} of {seconds:.1f} s, five times")


def half_written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if ".wbc-" in path.name or path.name.startswith(".in_use")]
