"""make hashes and make audit: of a small project with one dependency, by a small index of this machine."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.helpers.places import ROOT

pytest.importorskip("uv", reason="uv not installed")
pytest.importorskip("pip_audit", reason="pip-audit not installed")

WHEEL = "cellular-2.0-py3-none-any.whl"
PROJECT = """
[project]
name = "wbc"
version = "1.0"
dependencies = ["cellular"]
[project.optional-dependencies]
demo = []
fast = []
review = []
"""


class Index(SimpleHTTPRequestHandler):
    """Files, and what OSV says of each package: the text of the file `osv`."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()


def write_wheel(folder, text):
    files = {
        "cellular.py": text,
        "cellular-2.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: cellular\nVersion: 2.0\n",
        "cellular-2.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ["cellular-2.0.dist-info/RECORD,,"]
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        record.append(f"{name},sha256={digest},{len(content.encode())}")
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / WHEEL
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in (files | {"cellular-2.0.dist-info/RECORD": "\n".join(record)}).items():
            archive.writestr(name, content)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "index.html").write_text(f'<a href="{WHEEL}#sha256={digest}">{WHEEL}</a>')
    return digest


@pytest.fixture
def project(tmp_path):
    """The Makefile beside the small project, whose environment is this one."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "constraints.txt").write_text("cellular==2.0\n")
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


@pytest.fixture
def typed(project):
    """Runs a command there, which reaches the small index and nothing else."""
    handler = partial(Index, directory=project / "index")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index = f"http://127.0.0.1:{server.server_port}/"
        nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
        alone = {"UV_NO_CACHE": "1", "UV_DEFAULT_INDEX": index, "PIP_AUDIT_OSV_URL": f"{index}osv"}
        alone |= {"PIP_INDEX_URL": index, "PIP_CONFIG_FILE": os.devnull}
        others = (
            "UV_",
            "PIP_",
            "MAKE",
            "MFLAGS",
            "VENV",
        )  # of the make that these tests were started by, too
        kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        kept |= alone | nowhere | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

        def run(*words):
            return subprocess.run(
                words, cwd=project, env=kept, capture_output=True, text=True, check=False, timeout=120
            )

        yield run
        server.shutdown()


def installed(typed):
    words = ["install", "--quiet", "--no-cache-dir", "--target", "site", "--require-hashes"]
    return typed(sys.executable, "-m", "pip", *words, "-r", "requirements-hashed.txt")


def test_a_file_that_differs_from_its_hash_is_not_installed(project, typed):
    digest = write_wheel(project / "index" / "cellular", "COUNT = 1\n")
    done = typed("make", "hashes")
    assert done.returncode == 0, done.stderr
    written = (project / "requirements-hashed.txt").read_text()
    assert f"cellular==2.0 \\\n    --hash=sha256:{digest}" in written
    assert "127.0.0.1" not in written  # no address

    done = installed(typed)
    assert done.returncode == 0, done.stderr
    assert (project / "site" / "cellular.py").is_file()
    write_wheel(project / "index" / "cellular", "COUNT = 2\n")
    refused = installed(typed)
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr


def test_a_list_that_cannot_be_made_anew_stays(project, typed):
    write_wheel(project / "index" / "cellular", "COUNT = 1\n")
    before = "cellular==1.0\n"
    (project / "requirements-hashed.txt").write_text(before)
    (project / "constraints.txt").write_text("cellular==3.0\n")
    (project / ".venv" / ".ready").touch()
    done = typed("make", "hashes")
    assert done.returncode != 0
    assert "cellular==3.0" in done.stderr
    assert (project / "requirements-hashed.txt").read_text() == before


def test_an_audit_ends_well_where_no_hole_is_known_and_not_where_one_is(project, typed):
    write_wheel(project / "index" / "cellular", "COUNT = 1\n")
    (project / "index" / "osv").write_text("{}")
    done = typed("make", "audit", "ADVISORIES=osv")
    assert done.returncode == 0, done.stderr
    assert "No known vulnerabilities found" in done.stderr

    package = {"name": "cellular", "ecosystem": "PyPI"}
    fixed = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}
    hole = {"id": "GHSA-0", "summary": "a hole", "affected": [{"package": package, "ranges": [fixed]}]}
    (project / "index" / "osv").write_text(json.dumps({"vulns": [hole]}))
    done = typed("make", "audit", "ADVISORIES=osv")
    assert done.returncode != 0
    assert "Found 1 known vulnerability in 1 package" in done.stderr
    assert re.search(r"cellular +2\.0 +GHSA-0 +2\.1", done.stdout)


def test_without_advisories_the_audit_is_no_success(project, typed):
    write_wheel(project / "index" / "cellular", "COUNT = 1\n")
    done = typed("make", "audit")
    assert done.returncode != 0
    assert "No known vulnerabilities" not in done.stdout + done.stderr
    assert "pip_audit --strict --vulnerability-service pypi" in done.stdout
    assert (project / "requirements-hashed.txt").is_file()
