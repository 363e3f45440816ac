"""A disk that is full at any stage, or read-only: one sentence, and with room again the results are equal."""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.commands import typed
from tests.helpers.small_verbs import VERBS, command, left, told

pytestmark = pytest.mark.slow

STAGES = 8
_ROOM = 512 * 2**20  # bytes of the small disk


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk needs the right to mount one: {error}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # also where a verb is still at work


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_disk_is_said_and_with_room_the_results_are_equal(place, disk, verb):
    # Caches that find no room are done without, and images augmented anew: other, equally good epochs.
    words = ["cache_views=0"] if verb == "train" else []
    whole = disk / "whole"
    before = _free(disk)
    ended = typed(*command(verb, place, whole), *words)
    assert ended.returncode == 0, ended
    needed, expected = before - _free(disk), left(whole)
    failed = 0
    for number in range(STAGES):
        folder = disk / f"run_{number}"
        room = int(needed * (number + random.Random(f"{verb} {number}").random()) / STAGES)
        filler = disk / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(_free(disk) - room, 4096))
        ended = typed(*command(verb, place, folder), *words)
        said = ended.stdout + ended.stderr
        assert "Traceback" not in said, (number, ended)
        filler.unlink()
        if ended.returncode != 0:
            failed += 1
            assert ended.returncode == 1
            assert f"{folder}" in said
            assert "No space left on device; free some space, then" in said, ended
            again = told(ended.stdout, verb, place, folder) if ended.stdout else command(verb, place, folder)
            resumed = typed(*again, *([] if "resume_from" in str(again) else words))
            assert resumed.returncode == 0, resumed
        assert left(folder) == expected, number
        subprocess.run(["rm", "-r", str(folder)], check=True)
    print(verb, f"{failed} of {STAGES} found the disk full, all equal afterwards")
    assert failed > STAGES / 2


@pytest.mark.parametrize("verb", VERBS)
def test_a_read_only_folder_is_said_with_the_key_that_moves_it(place, disk, verb):
    (disk / "run").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for folder in (disk / "run", disk / "new"):
        ended = typed(*command(verb, place, folder))
        assert ended.returncode == 1
        assert f"{folder}: Read-only file system" in ended.stderr
        assert f"another {'output' if verb == 'predict' else 'hydra.run.dir'}=" in ended.stderr
        assert "Traceback" not in ended.stderr


def _free(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
