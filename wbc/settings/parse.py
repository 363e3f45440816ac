"""From composed YAML to a command's typed settings, and back to plain values.

Values and their reasons stand in conf/; names, types and ranges stand in the settings' classes, and pydantic
holds the one against the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from wbc.errors import ConfigError
from wbc.settings.complaints import complaint

Settings = TypeVar("Settings")  # a command's dataclass

MISSING = "???"  # as OmegaConf writes a value that has to be given


def _choose(first: Any, second: Any) -> Any:
    return first or second


def _beside(folder: str | None, file: str | None, name: str, otherwise: str) -> str:
    """`name` beside a file that is there: nothing is made in a folder that was given by mistake."""
    place = Path(folder or "").expanduser()
    return str(place / name) if folder and file and (place / file).is_file() else otherwise


# conf/*/config.yaml names run folders by them.
OmegaConf.register_new_resolver("wbc.first", _choose, replace=True)
OmegaConf.register_new_resolver("wbc.beside", _beside, replace=True)


def parse_as(kind: type[Settings], composed: DictConfig | Mapping[str, Any]) -> Settings:
    """The composed YAML, or plain values, as settings of `kind`.

    Raises ConfigError that names each key that is unknown, missing or has a wrong value, and the mend.
    """
    try:
        values = OmegaConf.to_container(OmegaConf.create(composed), resolve=True)  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        key = f" at {error.full_key}" if error.full_key else ""
        is_name = "nterpolation" in str(error)
        mend = r"; where a name has the sign ${, write \${, in single quotes" if is_name else ""
        raise ConfigError(f"the settings do not hold{key}: {str(error).splitlines()[0]}{mend}") from error
    return validated(kind, _without_missing(values))


def validated(kind: type[Settings], given: Any) -> Settings:
    """Plain values as settings of `kind`; raises ConfigError as `parse_as` does."""
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        raise ConfigError("\n".join(complaint(kind, one, given) for one in error.errors())) from error


def as_plain(settings: Any) -> dict[str, Any]:
    """Any command's settings as plain dicts, lists, strings and numbers, as a checkpoint may hold them."""
    return dataclasses.asdict(settings)


def _without_missing(values: Any) -> Any:
    """The values that are given; what has to be given and is not, pydantic then names."""
    if not isinstance(values, dict):
        return values
    return {key: _without_missing(value) for key, value in values.items() if value != MISSING}
