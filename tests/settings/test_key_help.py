"""Help pages are what conf/ says."""

import pytest
from omegaconf import OmegaConf

from tests.helpers.places import CONF
from wbc.__main__ import overview
from wbc.commands import COMMANDS
from wbc.settings.key_help import command_help, group_help, keys_in


def leaves(value, key=""):
    if isinstance(value, dict) and value:
        return [
            leaf for name, inner in value.items() for leaf in leaves(inner, f"{key}.{name}" if key else name)
        ]
    return [key]


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_key_of_the_file_is_found_with_its_comment(verb):
    file = CONF / verb / "config.yaml"
    values = OmegaConf.to_container(OmegaConf.load(file))
    values.pop("hydra")
    values.pop("defaults", None)
    found = [key for key in keys_in(file) if not key.is_group and key.value]
    assert [key.name for key in found] == leaves(values)
    assert all(key.says or key.value for key in found)


def test_a_comment_that_runs_on_is_put_together(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "# head\ndefaults:\n  - data: x  # source\n\na: [1, 2]  # of a\n  # and more\n"
        "b:\n  c: ???\nhydra:\n  d: 1\n"
    )
    keys = {key.name: (key.value, key.says, key.is_group) for key in keys_in(tmp_path / "a.yaml")}
    assert keys == {
        "data": ("x", "source", True),
        "a": ("[1, 2]", "of a and more", False),
        "b": ("", "", False),
        "b.c": ("???", "", False),
    }


@pytest.mark.parametrize("verb", COMMANDS)
def test_the_five_keys_that_matter_stand_first(verb):
    command = COMMANDS[verb]
    page = command_help(verb, f"wbc {verb}", command.first_keys)
    assert len(command.first_keys) == 5
    places = [page.index(f"\n  {key}=") for key in command.first_keys]
    assert places == sorted(places)
    others = [key for key in keys_in(CONF / verb / "config.yaml") if key.name not in command.first_keys]
    assert all(page.index(f"\n  {key.name}") > places[-1] for key in others if key.value)
    assert "--hydra-help" in page
    assert f"python {verb}.py" not in page
    assert max(map(len, page.splitlines())) <= 130


def test_the_keys_of_a_group_are_shown_by_preset():
    page = group_help("train", "wbc train", "model")
    assert "model.backbone=tf_efficientnet_lite0.in1k" in page
    assert "model.dropout=0.45" in page
    assert "model.test_time.draws=0" in page


def test_a_line_a_verb_says_which_serves_which_wish():
    lines = overview().splitlines()
    assert len(lines) == len(COMMANDS) + 4
    assert all(any(line.startswith(f"  wbc {verb} ") for line in lines) for verb in COMMANDS)
