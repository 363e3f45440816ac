import errno
import logging
import sys
import warnings
from contextlib import contextmanager

import pytest

from wbc.utils.console import configure_console
from wbc.utils.progress import Progress

HYDRA = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"


@contextmanager
def console(tmp_path):
    """Logging as Hydra leaves it, with a console configured on top; the log file's path.

    Not a fixture: pytest's stdout is another one in the test itself.
    """
    root = logging.getLogger()
    before = root.handlers, root.level
    file = logging.FileHandler(tmp_path / "train.log")
    file.setFormatter(logging.Formatter(HYDRA))
    root.handlers = [logging.StreamHandler(sys.stdout), file]
    root.setLevel(logging.INFO)
    configure_console()
    try:
        yield tmp_path / "train.log"
    finally:
        logging.captureWarnings(False)
        file.close()
        root.handlers, level = before
        root.setLevel(level)


def test_messages_stand_alone_and_the_file_keeps_the_rest(tmp_path, capsys):
    with console(tmp_path) as log_file:
        logging.getLogger("wbc.training.job").info("results: %d", 3)
        logging.getLogger("train").error("no images")
        assert capsys.readouterr() == ("results: 3\nerror: no images\n", "")
        first, second = log_file.read_text().splitlines()
        assert first.startswith("[20")
        assert first.endswith("][wbc.training.job][INFO] - results: 3")
        assert second.endswith("][train][ERROR] - no images")


def test_a_warning_of_ours_is_shown_once(tmp_path, capsys):
    with console(tmp_path) as log_file:
        for _ in range(2):
            logging.getLogger("wbc.datasets.splits").warning("there is no test set")
        assert capsys.readouterr().out == "warning: there is no test set\n"
        assert log_file.read_text().count("no test set") == 2


def test_information_of_libraries_stays_in_the_file(tmp_path, capsys):
    with console(tmp_path) as log_file:
        logging.getLogger("pytorch_lightning.utilities.x").info("Tip: try our platform")
        logging.getLogger("wbcx").info("not of this package")
        assert capsys.readouterr() == ("", "")
        assert "try our platform" in log_file.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "The 'train_dataloader' does not have many workers which may be a bottleneck.",
        "Checkpoint directory /runs/checkpoints/head exists and is not empty.",
    ],
)
def test_warnings_that_say_nothing_to_a_user_stay_in_the_file(tmp_path, capsys, text):
    with console(tmp_path) as log_file:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)  # catch_warnings has put Python's own display back
            warnings.warn(text, UserWarning, stacklevel=1)
        assert capsys.readouterr() == ("", "")
        assert text in log_file.read_text()


def test_other_warnings_are_shown_without_their_line_of_code(tmp_path, capsys):
    with console(tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("CUDA initialization: the driver is too old", UserWarning, stacklevel=1)
        assert capsys.readouterr() == ("warning: CUDA initialization: the driver is too old\n", "")


def test_only_the_first_process_talks_but_all_tell_errors(tmp_path, capsys, monkeypatch):
    with console(tmp_path):
        monkeypatch.setenv("LOCAL_RANK", "1")
        logging.getLogger("wbc.training.job").info("results")
        logging.getLogger("wbc.training.job").warning("few images")
        logging.getLogger("wbc.training.job").error("no images")
        assert capsys.readouterr().out == "error: no images\n"


def test_a_second_job_of_a_sweep_does_not_double_its_messages(tmp_path, capsys):
    with console(tmp_path):
        configure_console()
        logging.getLogger("wbc.training.job").info("results")
        assert capsys.readouterr().out == "results\n"


def test_a_traceback_is_shown(tmp_path, capsys):
    with console(tmp_path):
        try:
            raise OSError("disk full")
        except OSError:
            logging.getLogger("wbc.x").exception("not written")
        out = capsys.readouterr().out
        assert out.startswith("error: not written\nTraceback")
        assert out.endswith("OSError: disk full\n")


def test_a_message_takes_the_bar_away_and_brings_it_back(tmp_path, capsys, monkeypatch):
    with console(tmp_path):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setattr(sys.stderr, "write", sys.stdout.write)  # both go to one screen
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "60")
        with Progress("predicting", "image", 10):
            logging.getLogger("wbc.x").info("a message")
            screen = capsys.readouterr().out
        before, after = screen.split("a message\n")
        assert before.rstrip(" \r").rsplit("\r", 1)[-1].startswith("predicting")
        assert before.endswith("\r")  # what was drawn is blank again
        assert after.startswith("\rpredicting:   0 %")


def test_a_log_file_on_a_full_disk_is_told_once_without_a_traceback(tmp_path, capsys, monkeypatch):
    """Python told of each message that could not be written in a traceback."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with console(tmp_path):
        [file] = [one for one in logging.getLogger().handlers if isinstance(one, logging.FileHandler)]
        monkeypatch.setattr(file, "flush", full)
        for number in range(3):
            logging.getLogger("train").info("message %d", number)
        monkeypatch.undo()
    said = capsys.readouterr()
    assert said.err == "warning: the log file is not complete: No space left on device\n"
    assert said.out == "message 0\nmessage 1\nmessage 2\n"
