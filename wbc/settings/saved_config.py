"""config.yaml of a run folder: plain data, also where somebody else made the folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from wbc.errors import CheckpointError
from wbc.utils.files import write_text

# What is built by name from a config: transforms, loggers, and parts of Lightning's Trainer.
_OWN_CLASSES = re.compile(
    r"albumentations\.[A-Z]\w*|pytorch_lightning\.(loggers|strategies|profilers)\.[A-Z]\w*"
)
_BUILT = ("augment", "trainer", "logger")


def write_config(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values as YAML, in which nothing refers to anything else."""
    write_text(path, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))


def read_config(path: Path, trusted: bool = False) -> dict[str, Any]:
    """The values in `path`, in which ${...} is text.  No code runs and no variable of this machine is read.

    trusted: whether its maker's own classes may be named.
    Raises CheckpointError for a file that is missing, or no YAML of plain values; and for one that names
    other code than albumentations' and Lightning's classes, or refers to something where objects are built.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ValueError("an alias")  # a few can stand for billions of values
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{path} is damaged, or not written by wbc ({reason}); start a new run"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds no settings; start a new run")
    if not trusted:
        for key in _BUILT:
            for name, value in _leaves(values.get(key), key):
                own = name.endswith("._target_") and _OWN_CLASSES.fullmatch(str(value))
                if (name.endswith("._target_") and not own) or "${" in str(value):
                    raise CheckpointError(
                        f"{path} would run code of its maker's: {name}: {value!r:.100}. If you know who made "
                        "this folder, add trust=true"
                    )
    return values


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every plain value below `value`, with its place."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, f"{name}.{key}")
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _leaves(below, f"{name}[{number}]")
    else:
        yield name, value
