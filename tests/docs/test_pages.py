"""The pages of docs/: built as a site, their commands known, their links and files there."""

import re
import shlex
import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from tests.helpers.configs import composed
from tests.helpers.documentation import (
    DOCS,
    GUIDES,
    PAGES,
    README,
    anchors,
    blocks,
    lines,
    links,
    mentioned_commands,
)
from tests.helpers.places import CONF, ROOT
from wbc.commands import COMMANDS as VERBS
from wbc.settings.typed_words import check_words

# Until every verb has conf/<verb>/config.yaml.
CONF_OF = {
    verb: (place.parent, place.stem)
    for verb, place in {
        "explain": CONF / "explain.yaml",
        "predict": CONF / "predict.yaml",
        "adapt": CONF / "adapt" / "adapt.yaml",
    }.items()
    if place.exists()
}
COMMANDS = [(page.name, command) for page in [README, *GUIDES] for command in mentioned_commands(page)]


def test_the_site_is_built_and_every_link_in_it_leads_somewhere(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-W",
            "--keep-going",
            "-q",
            "-d",
            tmp_path / "trees",
            DOCS,
            tmp_path,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "index.html").is_file()
    assert (tmp_path / "results" / "tried.html").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in links(page):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page} leads to {target}, which does not exist"
        assert not anchor or anchor in anchors(file), f"{page} leads to {target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_and_scripts_that_a_page_names_are_there(page):
    named = set(
        re.findall(r"`((?:wbc|benchmarks|conf|tests)/[\w/.]*\w)/?`", page.read_text(encoding="utf-8"))
    )
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


def first_values(overrides: list[str]) -> list[str]:
    """Overrides of a sweep as those of its first run."""
    return [_first_value(one) for one in OverridesParser.create().parse_overrides(overrides)]


def _first_value(override: Override) -> str:
    if not override.is_sweep_override():
        return str(override.input_line)
    if override.is_interval_sweep():
        return f"{override.get_key_element()}={override.value().start}"
    return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"


OF_VERBS = [
    (page, one) for page, one in COMMANDS if shlex.split(one)[0] == "wbc" and shlex.split(one)[1] in VERBS
]


@pytest.mark.parametrize(("page", "command"), OF_VERBS)
def test_a_command_is_not_refused_before_it_starts(page, command, monkeypatch):
    """As it is typed, with its sweep; what is between < and > is what a user fills in."""
    _, verb, *words = shlex.split(command.replace("...", "checkpoint=model.ckpt"))
    monkeypatch.setattr("wbc.settings.sweeps.check_launcher", lambda _: None)  # none need be installed
    monkeypatch.setattr(
        "wbc.settings.typed_words._check_needed", lambda *_: None
    )  # a text names a part of it
    check_words([re.sub(r"[<>]", "", word) for word in words], verb, VERBS[verb].kind)


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_the_keys_of_a_command_are_known(page, command):
    program, verb, *words = shlex.split(command.replace("...", "checkpoint=model.ckpt"))
    overrides = [re.sub(r"[<>]", "", word) for word in words if not word.startswith("-")]
    if program == "python":
        assert (ROOT / verb).is_file()
    elif verb == "train":
        if any("hydra/launcher=" in word for word in words):
            pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="launchers not installed")
            pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="launchers not installed")
        composed(*first_values(overrides))
    elif not verb.startswith("-"):
        folder, config = CONF_OF.get(verb, (CONF / verb, "config"))
        with initialize_config_dir(str(folder), version_base="1.3"):
            compose(config, overrides=overrides)  # which knows no other keys


def test_every_target_of_make_that_a_page_names_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    named = {
        (page.name, word)
        for page in PAGES
        for block in blocks(page)
        for line in lines(block)
        for word in re.findall(r"^(?:\w+=\S+ )?make (\w+)", line)
    }
    assert {name for _, name in named} >= {"demo", "test", "licences", "hashes", "audit"}
    assert not [one for one in sorted(named) if one[1] not in targets]
