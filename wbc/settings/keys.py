"""The keys that a command's settings have, read off their classes."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

# What a preset tells another one, and what a user types in its place: a model may have a size of its own,
# which would pass over that of the data in silence.  No mend names such a key.
OF_PRESETS = {"data.image_size_px": "model.image_size_px"}


@cache
def keys_of(kind: type) -> dict[str, FieldInfo]:
    """Every key, dotted, sections included, with what pydantic knows of it: {"phase.head.lr": ..., ...}."""
    found: dict[str, FieldInfo] = {}
    for name, field in kind.__pydantic_fields__.items():  # type: ignore[attr-defined]
        found[name] = field
        section = _section(field.annotation)
        if section is not None:
            found |= {f"{name}.{key}": inner for key, inner in keys_of(section).items()}
    return found


def is_known(kind: type, key: str) -> bool:
    """Whether `key` is a setting, or a name within one whose names are free, as trainer.<argument>."""
    known = keys_of(kind)
    parts = key.split(".")
    above = (".".join(parts[:count]) for count in range(1, len(parts)))
    return key in known or any(_has_free_names(known[one].annotation) for one in above if one in known)


def is_list(kind: type, key: str) -> bool:
    """Whether the setting takes a list."""
    field = keys_of(kind).get(key)
    return field is not None and any(typing.get_origin(part) is list for part in _parts(field.annotation))


def is_text(kind: type, key: str) -> bool:
    """Whether the setting takes text, or a list of it."""
    field = keys_of(kind).get(key)
    if field is None:
        return False
    parts = _parts(field.annotation)
    return str in parts or any(typing.get_args(part) == (str,) for part in parts)


def ending_in(kind: type, name: str) -> list[str]:
    """The settings whose last part is `name`; of several, the ones that lie highest."""
    found = [key for key in _typed(kind) if key.rpartition(".")[2] == name]
    highest = min((key.count(".") for key in found), default=0)
    return [key for key in found if key.count(".") == highest]


def nearest(kind: type, key: str) -> str | None:
    """The setting whose name is most like `key`; None where none is like it."""
    known = _typed(kind)
    section, _, name = key.rpartition(".")
    inside = [one for one in known if one.rpartition(".")[0] == section]
    like = difflib.get_close_matches(name, [one.rpartition(".")[2] for one in inside], 1, 0.6)
    if like:
        return f"{section}.{like[0]}" if section else like[0]
    return next(iter(difflib.get_close_matches(key, known, 1, 0.6)), None)


def examples(kind: type, key: str) -> list[str]:
    """What may stand behind `key=`, as its type tells it."""
    field = keys_of(kind).get(key)
    return list(field.examples or []) if field is not None else []


def _typed(kind: type) -> list[str]:
    return [key for key in keys_of(kind) if key not in OF_PRESETS]


def _parts(hint: Any) -> list[Any]:
    """A type and what it is made of, but for the items of a list: X | None and Annotated[X, ...] hold X."""
    inner = () if typing.get_origin(hint) in (list, dict) else typing.get_args(hint)
    return [hint, *(part for one in inner for part in _parts(one))]


def _section(hint: Any) -> type | None:
    return next((part for part in _parts(hint) if dataclasses.is_dataclass(part)), None)  # type: ignore[return-value]


def _has_free_names(hint: Any) -> bool:
    return any(typing.get_origin(part) is dict for part in _parts(hint))
