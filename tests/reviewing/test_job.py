"""`wbc review` as it is typed: the page while it runs, and what is said where it cannot."""

import json
import re
import signal
import socket
import urllib.request

import pytest

from tests.helpers.commands import Started, typed
from tests.helpers.reviewed import write_crops, write_photographs


def asked(address, body=None):
    request = urllib.request.Request(address)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
        request.add_header("origin", "/".join(address.split("/")[:3]))
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def test_decisions_are_there_again_when_the_command_is_given_again(serve, tmp_path):
    write_crops(tmp_path)
    server = serve(tmp_path)
    assert asked(f"{server.address}api/session")["cells"] == 12
    decision = {"reviewer": "Anna", "cells": [1, 2], "verdict": "Monocyte"}
    assert asked(f"{server.address}api/decide", decision) == {"changed": 2}
    server.command.send(signal.SIGTERM)
    ended = server.command.ended(60)
    assert ended.returncode == 143
    assert "stopped; every decision is kept" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    server = serve(tmp_path, "reviewer=Eva")
    session = asked(f"{server.address}api/session")
    assert (session["reviewers"], session["proposed"]) == (["Anna"], "Eva")
    assert asked(f"{server.address}api/tally?reviewer=Anna")["decided"] == 2
    # A second command on the same decisions is refused while the first runs.
    second = typed("wbc", "review", f"predictions={tmp_path}", "port=0")
    assert second.returncode == 1
    assert "is in use by process" in second.stdout
    assert "another output=" in second.stdout
    server.command.send(signal.SIGINT)
    assert server.command.ended(60).returncode == 130


def test_elsewhere_the_printed_link_has_the_token(serve, tmp_path):
    write_crops(tmp_path)
    server = serve(tmp_path, "host=0.0.0.0")
    assert re.search(r"/\?token=[\w-]{40,}$", server.address)
    port = server.address.split(":")[2].split("/")[0]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        asked(f"http://127.0.0.1:{port}/api/session")
    server.command.send(signal.SIGTERM)
    assert "whoever has this link can decide" in server.command.ended(60).stdout


def refused(*words):
    done = typed("wbc", "review", *words)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predictions={tmp}/model.ckpt"], "is a file; give the folder that wbc predict wrote"),
        (["predictions={tmp}/nowhere"], "there is no such folder"),
        (["predictions={tmp}/empty"], "has no predictions.csv"),
        ([], "predictions is not given: give predictions=<folder"),
        (["predicitons={tmp}"], "predictions"),
        (["images={tmp}"], "predictions={tmp}"),
        (["predictions={tmp}", "prot=1"], "the nearest that exists is port"),
        (["predictions={tmp}", "port=70000"], "port=70000: expected 0 to 65535"),
        (["predictions={tmp}", "reviewer='<b>'"], "expected 1 to 60 letters"),
        (["predictions={tmp}", "host=nowhere.invalid", "port=0"], "no such address"),
        (["predictions={tmp}", "host=203.0.113.1", "port=0"], "give a port above 1023"),
        (["predictions={tmp}", "table=answers.xlsx"], "expected a file name that ends in .csv or .parquet"),
    ],
)
def test_what_cannot_be_reviewed_is_said_and_exits_1(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    write_crops(tmp_path)
    (tmp_path / "model.ckpt").write_bytes(b"?")
    (tmp_path / "empty").mkdir()
    command = Started("wbc", "review", *(word.format(tmp=tmp_path) for word in words), cwd=tmp_path)
    done = command.ended(60)
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert "Traceback" not in output
    assert said.format(tmp=tmp_path) in output
    assert not (tmp_path / "nowhere").exists()
    assert not list(
        (tmp_path / "empty").iterdir()
    )  # a folder of cells, perhaps, where another would be a class


def test_a_port_in_use_is_named_with_the_mend(tmp_path):
    write_crops(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port={port}: is in use; give another, or port=0" in refused(
            f"predictions={tmp_path}", f"port={port}"
        )


def test_moved_images_are_told_before_the_page_is_opened(serve, tmp_path):
    folder = tmp_path / "predictions"
    folder.mkdir()
    write_photographs(folder)
    (folder / "two.png").rename(tmp_path / "two.png")
    server = serve(folder)
    server.command.send(signal.SIGTERM)
    assert "1 are not where" in server.command.ended(60).stdout
    (folder / "one.png").rename(tmp_path / "one.png")
    assert "none of the images is where" in refused(f"predictions={folder}", "port=0")
    (tmp_path / "one.png").rename(folder / "one.png")  # the mend
    server = serve(folder)
    server.command.send(signal.SIGTERM)
    assert server.command.ended(60).returncode == 143


@pytest.mark.parametrize("text", ["{", "[]", '{"lab": {"elsewhere": true}}'])
def test_a_damaged_differential_is_refused_and_the_mend_works(serve, tmp_path, text):
    write_crops(tmp_path)
    (tmp_path / "differential.json").write_text(text)
    assert "differential.json is damaged" in refused(f"predictions={tmp_path}", "port=0")
    (tmp_path / "differential.json").rename(tmp_path / "moved.json")
    serve(tmp_path)


def test_what_the_model_says_of_the_lab_is_told(serve, tmp_path):
    write_crops(tmp_path)
    lab = {"elsewhere": True, "images": 12, "rank": 0.99}
    (tmp_path / "differential.json").write_text(json.dumps({"model": "a/model.ckpt", "lab": lab}))
    session = asked(f"{serve(tmp_path).address}api/session")
    assert session["model"] == "a/model.ckpt"
    assert "these 12 pictures are of another lab" in session["caution"]


def test_damaged_decisions_are_refused_and_begun_anew_elsewhere(serve, tmp_path):
    write_crops(tmp_path)
    (tmp_path / "review").mkdir()
    (tmp_path / "review" / "decisions.sqlite").write_bytes(b"no database" * 1000)
    said = refused(f"predictions={tmp_path}", "port=0")
    assert "decisions.sqlite cannot be used (file is not a database)" in said
    server = serve(tmp_path, f"output={tmp_path / 'other'}")
    server.command.send(signal.SIGTERM)
    assert server.command.ended(60).returncode == 143
    assert (tmp_path / "other" / "decisions.sqlite").is_file()
