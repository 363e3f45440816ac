"""The help of a command: its keys with their values and comments, as conf/ has them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wbc.settings.conf_folder import conf_folder
from wbc.settings.parse import MISSING

_WIDTH = 100
_KEY = re.compile(
    r"^(?P<indent> *)(?P<choice>- )?(?P<name>\w+):(?: +(?P<value>[^\s#].*?))?(?: +# (?P<says>.*))?$"
)
_COMMENT = re.compile(r"^ *# (.*)$")


@dataclass(frozen=True)
class Key:
    """One line of YAML: a dotted key, its value as written, and the comment on it."""

    name: str
    value: str
    says: str
    is_group: bool = False  # of a defaults list: which preset of conf/<verb>/<group>/ is taken


def keys_in(file: Path, prefix: str = "") -> Iterator[Key]:
    """The keys that `file` sets, in order, without those of Hydra itself."""
    above: list[tuple[int, str]] = []
    key: Key | None = None
    for line in file.read_text(encoding="utf-8").splitlines():
        if key is not None and (more := _COMMENT.match(line)):
            key = replace(key, says=f"{key.says} {more[1]}".strip())
            continue
        found = _KEY.match(line)
        if key is not None and (found or not line):
            yield key
            key = None
        if not found or found["name"] in ("defaults", "_target_"):
            continue
        if found["name"] == "hydra" and not found["indent"]:
            return
        above = [(indent, name) for indent, name in above if indent < len(found["indent"])]
        name = ".".join([*(name for _, name in above), found["name"]])
        if found["value"] is None and not found["choice"]:
            above.append((len(found["indent"]), found["name"]))
        if not (found["choice"] and found["indent"] and above):  # an item of a list of the preset's own
            key = Key(f"{prefix}{name}", found["value"] or "", found["says"] or "", bool(found["choice"]))
    if key is not None:
        yield key


def command_help(verb: str, program: str, first: Sequence[str]) -> str:
    """The page of `program --help`.  first: the keys that matter before all others."""
    folder = conf_folder(verb)
    own = list(keys_in(folder / "config.yaml"))
    by_name = {key.name: key for key in [*_preset_keys(folder), *own]}
    rest = [key for key in own if key.name not in first and (key.value or key.says)]
    lines = [*_head(folder / "config.yaml", program, verb), "", "First of all:"]
    lines += [line for name in first for line in _lines(by_name[name], folder)]
    lines += ["", "And:"]
    lines += [line for key in rest for line in _lines(key, folder)]
    groups = sorted(group.name for group in folder.iterdir() if group.is_dir() and group.name != "hydra")
    lines.append("")
    if groups:
        lines.append(f"The keys of a group: {program} --help <{'|'.join(groups)}>")
    lines.append(
        f"Everything as it would be used: {program} <key=value ...> --cfg job; Hydra's flags: --hydra-help"
    )
    return "\n".join(lines)


def group_help(verb: str, program: str, group: str) -> str:
    """The page of `program --help <group>`: each preset, with what its first lines say and its keys."""
    folder = conf_folder(verb) / group
    lines: list[str] = []
    presets = sorted(folder.glob("*.yaml"), key=lambda path: (path.stem == "base", path.stem))
    for preset in presets:
        lines += [f"{group}={preset.stem}" if preset.stem != "base" else f"{group}.*, in all of them"]
        lines += [f"  {line}" for line in _head(preset, program, verb)]
        prefix = "" if "# @package _global_" in preset.read_text(encoding="utf-8") else f"{group}."
        keys = (key for key in keys_in(preset, prefix) if not key.is_group and (key.value or key.says))
        lines += [line for key in keys for line in _lines(key, folder)]
        lines.append("")
    return "\n".join(lines).rstrip()


def _preset_keys(folder: Path) -> Iterator[Key]:
    """The keys of all groups; of one in several presets, a commented one that has to be given is last."""
    found = [
        key
        for preset in sorted(folder.glob("*/*.yaml"))
        if preset.parent.name != "experiment"
        for key in keys_in(preset, f"{preset.parent.name}.")
    ]
    yield from sorted(found, key=lambda key: (bool(key.says), key.value == MISSING))


def _head(file: Path, program: str, verb: str) -> list[str]:
    """The comment that `file` begins with, of commands as `program` is typed."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            lines.append(line[2:].replace(f"python {verb}.py", program))
    return lines


def _lines(key: Key, folder: Path) -> list[str]:
    """A key and its comment, wrapped."""
    if key.is_group:
        presets = sorted(path.stem for path in (folder / key.name).glob("*.yaml") if path.stem != "base")
        says = f"{key.says}; one of {', '.join(presets)}" if key.says else f"one of {', '.join(presets)}"
    else:
        says = key.says
    value = {MISSING: "<has to be given>"}.get(key.value, key.value)
    head = f"  {key.name}={value}" if value else f"  {key.name}"
    if not says:
        return [head]
    body = textwrap.wrap(says, _WIDTH - 30)
    if len(head) <= 28:
        return [f"{head:<30}{body[0]}", *(" " * 30 + line for line in body[1:])]
    return [head, *(" " * 30 + line for line in body)]
