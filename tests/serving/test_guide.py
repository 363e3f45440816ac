"""The curl commands of the guide, typed as they stand there; and that whoever waits at a stop is answered."""

import json
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.helpers.commands import Started, typed
from tests.helpers.documentation import DOCS, blocks, lines
from tests.helpers.drawn_fields import field
from tests.helpers.trees import picture, write_image

_SAID = re.compile(r"answering at http://[^:]+:(\d+)")
_GUIDE = DOCS / "guides" / "serving.md"
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture
def server(model, tmp_path):
    """`wbc serve` with the small model: the command, and its port."""
    words = [f"checkpoint={model / 'model.ckpt'}", "runtime=torch", f"hydra.run.dir={tmp_path / 'run'}"]
    started = Started("wbc", "serve", "port=0", *words)
    said = started.files[0]
    started.wait_until(lambda: said.exists() and _SAID.search(said.read_text()), 120)
    yield started, _SAID.search(said.read_text())[1]
    started.process.kill()
    started.process.join()


def curls() -> list[str]:
    return [line for block in blocks(_GUIDE) for line in lines(block) if line.startswith("curl ")]


def test_the_guides_commands_are_answered(server, tmp_path):
    _, port = server
    for number in (1, 2):
        write_image(tmp_path / f"cell_{number}.png", picture(number, 70))
    write_image(tmp_path / "field.png", field([(100, 100), (300, 200)])).rename(tmp_path / "field.jpg")
    found = []
    for command in curls():
        text = command.replace(":8766/", f":{port}/")
        assert text != command
        done = subprocess.run(
            ["bash", "-c", f"{text} --silent --show-error"],
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
            check=True,
        )
        found.append(json.loads(done.stdout)["pictures"])
    assert [[one["name"] for one in pictures] for pictures in found] == [
        ["cell_1.png", "cell_2.png"],
        ["field.jpg"],
        ["1"],
    ]
    assert len(found[1][0]["cells"]) == 2
    assert found[2][0]["answer"]["prediction"] == found[0][0]["answer"]["prediction"]


def test_whoever_waits_when_it_is_stopped_is_answered(server, tmp_path):
    """The photographs are still being looked at when SIGTERM comes."""
    command, port = server
    rng = np.random.default_rng(0)
    places = [(int(x), int(y)) for x, y in rng.integers(100, 1900, (40, 2))]
    write_image(tmp_path / "field.png", field(places, (2000, 2000)))

    def ask(_: int) -> str:
        address = f"http://127.0.0.1:{port}/answer?fields=true"
        words = ["curl", "-s", "-w", " %{http_code}", "-F", "images=@field.png", address]
        return subprocess.run(
            words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    def waiting() -> int:
        words = ["curl", "-s", f"http://127.0.0.1:{port}/health"]
        return json.loads(subprocess.run(words, capture_output=True, check=True, timeout=60).stdout)[
            "waiting"
        ]

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(4)]
        command.wait_until(lambda: waiting() == 4, 60)
        command.send(signal.SIGTERM)
        assert [one.result().rpartition(" ")[2] for one in asked] == ["200"] * 4
    ended = command.ended(60)
    assert ended.returncode == 143
    assert "4 requests with 4 pictures answered" in ended.stdout


def test_the_token_of_the_environment_is_taken_or_refused(model, tmp_path, monkeypatch):
    words = [
        f"checkpoint={model / 'model.ckpt'}",
        "host=0.0.0.0",
        "port=0",
        f"hydra.run.dir={tmp_path / 'run'}",
    ]
    monkeypatch.setenv("WBC_TOKEN", "short")
    done = typed("wbc", "serve", *words)
    assert done.returncode == 1
    assert "WBC_TOKEN is no token: give 20 ASCII characters or more" in done.stdout + done.stderr
    token = "twenty-characters-and-more"  # the mend
    monkeypatch.setenv("WBC_TOKEN", token)
    started = Started("wbc", "serve", "runtime=torch", *words)
    said = started.files[0]
    started.wait_until(lambda: said.exists() and f"?token={token}" in said.read_text(), 120)
    started.send(signal.SIGTERM)
    assert started.ended(60).returncode == 143
    assert token not in (tmp_path / "run" / "config.yaml").read_text()
