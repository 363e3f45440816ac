"""What a user typed behind a command, looked at before Hydra reads it.

Hydra answers a wrong word in its own terms ("Could not override 'epochs'.  To append use +epochs=3").  Here
the answer is the setting that is meant, or the word as it should have been typed.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf

from wbc.errors import ConfigError
from wbc.settings.complaints import missing_key, unknown_key
from wbc.settings.conf_folder import conf_folder
from wbc.settings.keys import OF_PRESETS, examples, is_known, is_list
from wbc.settings.parse import MISSING
from wbc.settings.quoting import in_shell, is_open, mended
from wbc.settings.sweeps import check_sweep, complaint_of_search
from wbc.settings.usual_words import absent, meant

_SEVERAL_IMAGES = (
    "several images are given as a folder, as a pattern in quotes, such as 'images=\"cells/*.png\"', or as a "
    "table with a column path, such as images=cells.csv"
)

# Groups of which several presets can be chosen at once: their settings lie side by side.
_TAKE_SEVERAL = {"logger"}


def check_words(words: list[str], verb: str, kind: type) -> None:
    """Raise ConfigError for what Hydra could not read, for a key that is no setting, for one that is missing.

    verb: the command, whose settings are `kind`; its presets lie in conf/<verb>/.
    """
    flags, others = get_args_parser().parse_known_args(words)
    for flag in (word for word in others if word.startswith("-")):
        raise ConfigError(_with_dashes(flag, words, verb, kind))
    given = [*flags.overrides, *others]
    parsed = list(_parsed(given, kind))
    overrides = [one for one in parsed if not one.key_or_group.startswith("hydra")]
    groups = _groups(conf_folder(verb))
    own_presets = flags.config_dir is not None or any(word.startswith("hydra.searchpath") for word in given)
    check_sweep(parsed, verb, own_presets)
    for override in overrides:
        key = override.key_or_group
        value = (override.input_line or "").partition("=")[2]
        if not is_known(kind, key) and key.partition("/")[0] not in groups:
            raise ConfigError(_unknown(verb, kind, key, value))
        if key in OF_PRESETS:
            instead = mended(f"{OF_PRESETS[key]}={value or '<value>'}")
            raise ConfigError(f"{key} is for presets of data: give {instead}")
        if override.is_sweep_override() and not flags.multirun:
            raise ConfigError(_several(kind, key, value))
        chosen = override.value()
        if key in groups and isinstance(chosen, list):
            _check_choices(key, [str(one) for one in chosen], groups[key], own_presets)
        if key in groups and isinstance(override.value(), int | float | None) and not override.is_delete():
            _check_choice(key, value, groups[key])  # null or a number, which names no preset of anybody's
        if key in groups and isinstance(override.value(), str) and not own_presets:
            _check_choice(key, str(override.value()), groups[key])
    if not (flags.cfg or flags.info or flags.hydra_help or flags.shell_completion):
        _check_needed(verb, kind, {override.key_or_group for override in overrides})


def _parsed(words: list[str], kind: type) -> Iterator[Override]:
    parser = OverridesParser.create()
    for number, word in enumerate(words):
        if is_open(word) and number + 1 < len(words):
            whole = _joined(words[number:])
            raise ConfigError(f"{word} is parted at a blank; put the whole in quotes: {whole}")
        if "=" not in word and not word.startswith("~"):
            raise ConfigError(_alone(word, words[:number], kind))
        try:
            yield parser.parse_override(word)
        except HydraException as error:
            raise ConfigError(
                complaint_of_search(word)
                or f"{word} holds a sign that has a meaning of its own; quote the value: {mended(word)}"
            ) from error


def _joined(words: list[str]) -> str:
    """The words up to the one that closes what the first one opens, as one."""
    joined = words[0]
    for word in words[1:]:
        if not is_open(joined):
            break
        joined += f" {word}"
    return shlex.quote(joined)


def _alone(word: str, before: list[str], kind: type) -> str:
    """What is said of a word without an equals sign."""
    last = before[-1] if before else ""
    if last.endswith("="):
        return f"{word} is parted from {last} by a blank: give {in_shell(last[:-1], word)}"
    key = last.partition("=")[0]
    if key == "images":
        return f"{word} stands alone: {_SEVERAL_IMAGES}"
    if is_list(kind, key):
        both = f"{key}=[{last.partition('=')[2]},{word}]"
        return f"{word} stands alone: several values stand in brackets and quotes: {mended(both)}"
    return f"{word} stands alone: settings are given as key=value, such as seed=1 or {_first_example(kind)}"


def _first_example(kind: type) -> str:
    key = "checkpoint" if is_known(kind, "checkpoint") else "data.root"
    return f"{key}={next(iter(examples(kind, key)), '<run>/model.ckpt')}"


def _with_dashes(flag: str, words: list[str], verb: str, kind: type) -> str:
    """What is said of a setting that is typed as an option."""
    key, _, value = flag.lstrip("-").partition("=")
    if not value:
        value = next(iter(words[words.index(flag) + 1 :]), "<value>")
    key = key.replace("-", "_")
    key = OF_PRESETS.get(key, key)
    if is_known(kind, key):
        return f"{flag}: settings are given without dashes: {in_shell(key, value)}"
    return f"{flag}: settings are given without dashes, as key=value. {_unknown(verb, kind, key, value)}"


def _unknown(verb: str, kind: type, key: str, value: str) -> str:
    if why := absent(verb, key):
        return f"{key} is not a setting of {verb}: {why}"
    words = meant(verb, kind, key, value)
    if not words:
        return f"{unknown_key(kind, key)}. All of them: wbc {verb} --help"
    keys = [shlex.split(word)[0].partition("=")[0] for word in words]
    return f"{key} is not a setting of {verb}. Here it is {' and '.join(keys)}: give {' '.join(words)}"


def _several(kind: type, key: str, value: str) -> str:
    """What is said of values with commas between them, where one run is asked for."""
    if key == "images":
        return f"{key}={value}: {_SEVERAL_IMAGES}"
    if is_list(kind, key) or key in _TAKE_SEVERAL:
        return f"{key}={value}: several values stand in brackets and quotes: {mended(f'{key}=[{value}]')}"
    return (
        f"{key}={value}: one value is expected. To try each in turn, a sweep, add -m; where the comma "
        f"belongs to the value, give {in_shell(key, value)}"
    )


def _groups(folder: Path) -> dict[str, list[str]]:
    """What can be chosen by group=preset: the presets of each folder in `folder`."""
    return {
        group.name: sorted(path.stem for path in group.glob("*.yaml") if path.stem != "base")
        for group in folder.iterdir()
        if group.is_dir()
    }


def _check_choices(group: str, choices: list[str], presets: list[str], own_presets: bool) -> None:
    """Of several presets in brackets."""
    if group not in _TAKE_SEVERAL and len(choices) > 1:
        raise ConfigError(
            f"{group}=[{','.join(choices)}]: one preset is expected. To try each in turn, a sweep, give "
            f"-m {group}={','.join(choices)}"
        )
    once = list(dict.fromkeys(choices))
    if len(once) < len(choices):
        raise ConfigError(
            f"{group}=[{','.join(choices)}] names one twice; give " + mended(f"{group}=[{','.join(once)}]")
        )
    if "none" in choices and len(choices) > 1:
        rest = ",".join(one for one in choices if one != "none")
        raise ConfigError(
            f"{group}=[{','.join(choices)}]: none is not one among others; give {group}=none, or "
            + mended(f"{group}=[{rest}]")
        )
    for choice in choices:
        if not own_presets:
            _check_choice(group, choice, presets)


def _check_choice(group: str, choice: str, presets: list[str]) -> None:
    if choice in presets:
        return
    like = difflib.get_close_matches(choice, presets, 1, 0.6)
    own = {
        "data": f"for your own images give data=folder {in_shell('data.root', choice)}",
        "model": f"for any network of timm give model=timm {in_shell('model.backbone', choice)}",
    }.get(group)
    if choice == "null":
        own = f"to choose none, {f'give {group}=none' if 'none' in presets else f'leave {group}= out'}"
    mend = f"is {group}={like[0]} meant?" if like else own or f"for all settings see --help {group}"
    raise ConfigError(f"{group}={choice} is none of {', '.join(presets)}; {mend}")


def _check_needed(verb: str, kind: type, given: set[str]) -> None:
    """Hydra would stop at the first, and at its own folder, which may be one of them."""
    if "resume_from" in given:
        return
    values: Any = OmegaConf.to_container(OmegaConf.load(conf_folder(verb) / "config.yaml"))
    missing = [key for key, value in values.items() if value == MISSING and key not in given]
    if missing:
        raise ConfigError("\n".join(missing_key(kind, key) for key in missing))
