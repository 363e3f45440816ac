"""`wbc serve` as it is typed: the address while it runs, and what is said where it cannot."""

import json
import re
import signal
import socket
import urllib.error
import urllib.request

import numpy as np
import pytest

from tests.helpers.commands import Started, typed
from tests.helpers.trees import write_image
from wbc.synthetic.draw import LABS, draw_cell

_ADDRESS = re.compile(r"answering at (http://\S+)")


@pytest.fixture
def start(tmp_path):
    """`start(*words)`: a service that answers, and its address."""
    servers = []

    def started(*words):
        server = Started("wbc", "serve", "port=0", f"hydra.run.dir={tmp_path / 'run'}", *words)
        servers.append(server)
        said = server.files[0]
        server.wait_until(lambda: said.exists() and _ADDRESS.search(said.read_text()), 120)
        return server, _ADDRESS.search(said.read_text())[1]

    yield started
    for server in servers:
        server.process.kill()
        server.process.join()


def test_by_default_the_model_that_travels_answers_until_the_command_is_stopped(start, tmp_path):
    rgb, _ = draw_cell("Lymphocyte", LABS["lab_e"], np.random.default_rng(0), 120)
    write_image(tmp_path / "cell.png", rgb)
    server, address = start()
    request = urllib.request.Request(f"{address}answer", (tmp_path / "cell.png").read_bytes())
    request.add_header("content-type", "image/png")
    with urllib.request.urlopen(request, timeout=60) as answer:
        record = json.load(answer)
    assert record["pictures"][0]["answer"]["status"]
    with urllib.request.urlopen(f"{address}version", timeout=20) as answer:
        assert json.load(answer)["model"]["sha256"] == record["model"]
    # Its port is taken now, which another is told.
    port = address.split(":")[2].strip("/")
    second = typed("wbc", "serve", f"port={port}", f"hydra.run.dir={tmp_path / 'second'}")
    assert second.returncode == 1
    assert "port=" in second.stdout + second.stderr
    server.send(signal.SIGTERM)
    ended = server.ended(60)
    assert ended.returncode == 143
    assert "1 requests with 1 pictures answered" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_elsewhere_the_printed_link_has_the_token(start):
    server, address = start("host=0.0.0.0")
    assert re.search(r"/\?token=[\w-]{40,}$", address)
    port = address.split(":")[2].split("/")[0]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20)
    server.send(signal.SIGINT)
    assert server.ended(60).returncode == 130


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("checkpoint=nowhere.ckpt", "nowhere.ckpt"),
        ("megapixels=0", "megapixels"),
        ("quue=3", "quue"),
    ],
)
def test_what_it_cannot_be_started_with_is_named(word, said, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    ended = typed("wbc", "serve", word, f"port={free}", f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.returncode == 1
    assert said in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
