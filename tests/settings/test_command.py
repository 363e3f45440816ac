"""What a command does before its job begins."""

import os
import signal
import subprocess
import sys

import pytest

from tests.helpers.places import ROOT
from wbc.commands import COMMANDS
from wbc.settings import command


@pytest.fixture
def handlers():
    """The test process keeps its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_it_can_be_stopped_before_the_job_begins(handlers, monkeypatch, capsys, sent, code):
    """SIGTERM in the seconds of importing ended explain.py by the signal, without a word."""
    monkeypatch.setattr("wbc.utils.stopping._asked", None)
    monkeypatch.setattr(sys, "argv", ["explain.py"])
    monkeypatch.setattr(
        command.hydra, "main", lambda **settings: lambda task: lambda: os.kill(os.getpid(), sent)
    )
    words = ["checkpoint=a", "images=b", "hydra.run.dir=c"]
    with pytest.raises(SystemExit) as ended:
        command.run(COMMANDS["explain"], words, "python explain.py")
    assert ended.value.code == code
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # while Python ends
    assert "stopped; give the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(("own", "chosen"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_sleep_at_barriers_unless_the_user_chose_otherwise(own, chosen):
    """They are told before torch is imported, which reads it once."""
    code = (
        "import os, sys, wbc.__main__ as main; sys.argv = ['wbc', 'predict', 'checkpoint=a', 'images=b', "
        "'--cfg', 'job']; assert 'torch' not in sys.modules; main.main(); "
        "print(os.environ['OMP_WAIT_POLICY'])"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {} if own is None else {"OMP_WAIT_POLICY": own}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == chosen
