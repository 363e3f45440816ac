"""A command beside the server: what it says, and that nothing of it is left unless it has finished."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.places import ROOT
from wbc.reviewing.background import BackgroundCommand


def ends(condition, timeout_s=90):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    (made / "half.csv").write_text("written before")
    return made


def test_what_was_wrong_is_told_and_the_folder_is_gone(folder, tmp_path):
    words = ["predict", f"images={tmp_path / 'nowhere'}", f"output={folder / 'answers'}"]
    command = BackgroundCommand(words, folder, folder / "answers" / "differential.json")
    assert command.is_running
    ends(lambda: not command.is_running)
    assert command.why.startswith(f"images={tmp_path / 'nowhere'}: no such file or folder")
    assert not command.has_finished
    assert not folder.exists()


def test_what_has_finished_stays_whatever_the_exit_code(folder, tmp_path):
    (folder / "last").write_text("")
    command = BackgroundCommand(
        ["predict", f"images={tmp_path / 'nowhere'}", f"output={tmp_path / 'answers'}"],
        folder,
        folder / "last",
    )
    ends(lambda: not command.is_running)
    assert command.has_finished
    assert (folder / "half.csv").is_file()


def test_stopped_it_ends_at_once_and_leaves_nothing(folder):
    command = BackgroundCommand(["adapt", "checkpoint=nowhere"], folder, folder / "model.ckpt")
    command.stop()
    assert not command.is_running
    assert command.is_stopped
    assert not folder.exists()


def test_killed_where_it_hears_nothing_it_leaves_nothing_either(folder, monkeypatch):
    monkeypatch.setattr("wbc.reviewing.background._PATIENCE_S", 0.01)  # it still imports
    command = BackgroundCommand(["adapt", "checkpoint=nowhere"], folder, folder / "model.ckpt")
    command.stop()
    ends(lambda: not command.is_running)
    assert not folder.exists()


@pytest.mark.parametrize("line", ["predicting: 1,200 of 2,400 images, 90 images/s", "listing: 3 of 6 images"])
def test_how_far_it_is_follows_from_what_it_says(folder, line, monkeypatch):
    command = BackgroundCommand(["predict", "--help"], folder, folder / "half.csv")
    ends(lambda: not command.is_running)
    assert command.share is None
    command._lines.append(line)
    assert command.share == 0.5
    assert command.said == line


_STARTER = """
import sys, time
from pathlib import Path
from wbc.reviewing.background import BackgroundCommand
folder = Path(sys.argv[1])
words = ["serve", "port=0", f"hydra.run.dir={folder / 'run'}"]
command = BackgroundCommand(words, folder, folder / "last")
print(command._process.pid, flush=True)
time.sleep(600)
"""


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("when_s", [0.5, 6])
def test_it_ends_with_whoever_started_it_and_leaves_nothing(folder, when_s):
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    child = int(starter.stdout.readline())
    time.sleep(when_s)  # while it imports, and while it works
    assert is_alive(child)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    ends(lambda: not is_alive(child))
    ends(lambda: not folder.exists())
