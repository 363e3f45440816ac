"""The Dockerfile against what it builds on: files, extras, the command, ports; and what its guide lets type.

Nothing here builds an image.  tests/test_wheel.py installs from the same files.
"""

import json
import re
import shlex
import sys
from typing import NamedTuple

import pytest
import yaml

from tests.helpers.documentation import blocks, lines
from tests.helpers.places import BUILT_FROM, CONF, ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

GUIDE = ROOT / "docs" / "guides" / "containers.md"


class Step(NamedTuple):
    """An instruction, such as COPY, and what stands behind it on one line."""

    instruction: str
    words: str


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [Step(*line.split(maxsplit=1)) for line in bare.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def words(steps: list[Step], instruction: str) -> list[str]:
    return [step.words for step in steps if step.instruction == instruction]


def copied(steps: list[Step]) -> set[str]:
    sources = (shlex.split(one)[:-1] for one in words(steps, "COPY") if "--from=" not in one)
    return {source for row in sources for source in row}


def docker_lines() -> list[str]:
    of_guide = [line for block in blocks(GUIDE) if block.language == "sh" for line in lines(block)]
    return [line for line in of_guide if line.startswith("docker ")]


def test_what_it_copies_is_what_a_wheel_is_built_from(steps):
    assert copied(steps) == {*BUILT_FROM, "constraints.txt"}
    assert not [name for name in copied(steps) if not (ROOT / name).exists()]


def test_nothing_else_reaches_the_builder(steps):
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in kept if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied(steps)
    assert rules[-1] == "**/__pycache__"  # the last that fits decides


def test_its_extras_and_its_command_are_those_of_the_project(steps, project):
    (extras,) = re.findall(r'EXTRAS="([\w,]+)"', "\n".join(words(steps, "ARG")))
    named = [*re.findall(r"EXTRAS=([\w,]+)", GUIDE.read_text(encoding="utf-8")), extras]
    for one in named:
        assert set(one.split(",")) <= set(project["optional-dependencies"])
    told = GUIDE.read_text(encoding="utf-8").partition("as built:")[2].partition("|")[0]
    assert re.findall(r"`(\w+)`", told) == extras.split(",")
    (command,) = words(steps, "ENTRYPOINT")
    assert set(json.loads(command)) <= set(project["scripts"])


def test_its_python_is_that_of_the_tested_releases(steps):
    bases = {one.split()[0] for one in words(steps, "FROM")}
    assert len(bases) == 1  # the environment of the first stage runs in the last
    (release,) = re.findall(r"^python:(\d+\.\d+)-slim$", bases.pop())
    first = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[0]
    assert f"on Python {release}." in first


def test_every_installation_is_held_by_the_constraints(steps):
    installs = [one for one in words(steps, "RUN") if "pip install" in one]
    assert len(installs) == 2
    for one in installs:
        assert " -c constraints.txt " in one
        assert "--mount=type=secret,id=pip" in one  # a pip.conf that stays in no layer


def test_no_address_stands_in_it():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "://" not in text
    assert re.findall(r"--(?:extra-)?index-url\s+(\S+)", text) == ['"${TORCH_INDEX}"}']


def test_it_runs_as_a_user_who_is_known_by_number_not_to_be_root(steps):
    last_stage = steps[max(i for i, step in enumerate(steps) if step.instruction == "FROM") :]
    (user,) = words(last_stage, "USER")
    assert int(user) > 0
    assert f"useradd --uid {user} " in "\n".join(words(last_stage, "RUN"))


def test_its_ports_are_those_of_the_pages_and_of_the_guide(steps):
    ports = {
        verb: yaml.safe_load((CONF / verb / "config.yaml").read_text(encoding="utf-8"))["port"]
        for verb in ("review", "serve")
    }
    (exposed,) = words(steps, "EXPOSE")
    assert set(exposed.split()) == {str(port) for port in ports.values()}
    for verb, port in ports.items():
        (line,) = [one for one in docker_lines() if f" wbc {verb} " in one]
        assert f"-p 127.0.0.1:{port}:{port} " in line
        assert "host=0.0.0.0" in line  # at 127.0.0.1 in the container nobody outside reaches it


def test_the_guide_mounts_the_folder_where_commands_run(steps):
    (here,) = words(steps, "WORKDIR")[-1:]
    assert json.loads(words(steps, "VOLUME")[0]) == [here]
    runs = [one for one in docker_lines() if one.startswith("docker run")]
    assert len(runs) == 4
    assert all(f'-v "$PWD:{here}"' in one for one in runs)
