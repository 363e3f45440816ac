import io
import os
import pty
import re
import subprocess
import sys

import pytest

from wbc.utils import progress as module
from wbc.utils.progress import Progress, plural, progress


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Clock:
    """Stands still but where a test moves it."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def terminal_of(monkeypatch, columns=100):
    """A terminal in the place of stderr; not a fixture, whose stderr pytest would take back."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    return stream


def worked(clock, bar, count, seconds_each):
    for _ in range(count):
        clock.now += seconds_each
        bar.update()


def test_a_pipe_gets_a_line_every_half_minute_and_one_at_the_end(clock, capsys):
    with Progress("predicting", "image", 10_000) as bar:
        worked(clock, bar, 10_000, 1 / 90)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert re.fullmatch(r"predicting: 2,70\d of 10,000 images, 90 images/s, 1 min 2\d s left", lines[0])
    assert lines[-1] == "predicting: 10,000 images in 1 min 51 s, 90 images/s"


def test_what_is_soon_done_leaves_no_line(clock, capsys):
    for _ in progress([1, 2], "reading", "file"):
        clock.now += 1
    assert capsys.readouterr() == ("", "")


def test_slow_things_say_how_long_one_takes(clock, capsys):
    for _ in progress(iter("abcd"), "randomising", "method", 4):
        clock.now += 40
    assert capsys.readouterr().err.splitlines() == [
        "randomising: 1 of 4 methods, 40 s for each method, 2 min left",
        "randomising: 2 of 4 methods, 40 s for each method, 1 min 20 s left",
        "randomising: 3 of 4 methods, 40 s for each method, 40 s left",
        "randomising: 4 methods in 2 min 40 s, 40 s for each method",
    ]


def test_without_a_total_it_counts(clock, capsys):
    for _ in progress(iter("ab"), "listing", "image"):
        clock.now += 31
    assert capsys.readouterr().err.splitlines()[0] == "listing: 1 image, 31 s for each image"


def test_what_was_found_ready_does_not_flatter_the_estimate(clock, capsys):
    with Progress("explaining", "image", 1000) as bar:
        bar.found(900)
        worked(clock, bar, 10, 4)
        bar.close(finished=False)
    assert capsys.readouterr().err == (
        "explaining: 908 of 1,000 images, 4 s for each image, 6 min 8 s left\n"
    )


def test_a_change_of_speed_shows_in_the_estimate(clock, capsys):
    with Progress("decoding", "image", 1000) as bar:
        worked(clock, bar, 300, 0.1)
        worked(clock, bar, 120, 1)
        bar.close(finished=False)
    *_, last = capsys.readouterr().err.splitlines()
    assert "of 1,000" in last
    rate = float(last.split(", ")[1].split()[0])
    assert rate < 420 / 150 * 0.8  # nearer to the 1/s of now than the mean over all is


def test_an_interrupted_loop_leaves_no_line(clock, capsys):
    def interrupted():
        with Progress("predicting", "image", 2) as bar:
            worked(clock, bar, 1, 20)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK", "SLURM_PROCID"])
def test_only_the_first_process_shows_progress(clock, capsys, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    for _ in progress([1, 2], "predicting", "image"):
        clock.now += 60
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(variable, "0")
    for _ in progress([1, 2], "predicting", "image"):
        clock.now += 60
    assert "2 images in 2 min" in capsys.readouterr().err


def test_a_terminal_gets_one_line_drawn_anew(clock, monkeypatch):
    terminal = terminal_of(monkeypatch)
    with Progress("predicting", "image", 1000) as bar:
        worked(clock, bar, 500, 0.1)
    drawn = terminal.getvalue().split("\r")
    half = next(line for line in drawn if "500 of" in line).strip()
    assert half == f"predicting:  50 % |{'█' * 15:<30}| 500 of 1,000 images, 10 images/s, 50 s left"
    assert terminal.getvalue().count("\n") == 1  # of the line that stays
    assert terminal.getvalue().rstrip().endswith("predicting: 500 images in 50 s, 10 images/s")


@pytest.mark.parametrize("columns", [20, 50, 80, 200])
def test_a_bar_fits_the_terminal(clock, monkeypatch, columns):
    terminal = terminal_of(monkeypatch, columns)
    with Progress("frozen values of test_other_lab", "batch", 1000, at_most=True) as bar:
        bar.note = "val_macro_f1 0.912"
        worked(clock, bar, 100, 0.5)
        bar.close(finished=False)
    drawn = [line.rstrip() for line in terminal.getvalue().split("\r")]
    assert max(map(len, drawn)) < columns
    if columns >= 80:
        assert any("at most 7 min 30 s left" in line for line in drawn)


def test_nested_bars_stand_below_each_other(clock, monkeypatch):
    terminal = terminal_of(monkeypatch)
    with Progress("labs", "lab", 2) as outer:
        with Progress("cells", "cell", 10) as inner:
            worked(clock, inner, 10, 0.2)
        worked(clock, outer, 1, 0.2)
    assert "\n\rcells:" in terminal.getvalue()
    assert "\x1b[A" in terminal.getvalue()  # and back up


def test_plurals():
    assert [plural(unit) for unit in ("image", "batch", "class")] == ["images", "batches", "classes"]


_LOOP = """
import time
from wbc.utils import progress as module
module._LINE_EVERY_S, module._WORTH_A_LINE_S = 0.2, 0.1
for _ in module.progress(range(300), "counting", "image"):
    time.sleep(0.002)
"""


def test_a_real_pipe_gets_no_carriage_return_and_a_terminal_does():
    piped = subprocess.run([sys.executable, "-c", _LOOP], capture_output=True, check=True).stderr
    assert b"\r" not in piped
    assert b"counting: 300 images in" in piped
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", _LOOP], stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as child:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # how Linux says that the other side is closed
            pass
        assert child.wait() == 0
    os.close(ours)
    assert shown.count(b"\rcounting:") > 3
