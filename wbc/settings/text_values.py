"""Text that Hydra would take for a number: a folder 2024_01 is not the folder 202401."""

from __future__ import annotations

import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from wbc.settings.keys import is_text

_BRACKETS = re.compile(r"(\[?)([^][{}()\"']*)(\]?)")


def kept_as_text(words: list[str], kind: type) -> list[str]:
    """The same words, with quotes of Hydra's own around numbers where a setting of `kind` takes text.

    Several values, in brackets or as a sweep has them, are looked at one by one.
    """
    return [_kept(word, kind) for word in words]


def _kept(word: str, kind: type) -> str:
    key, equals, value = word.partition("=")
    parts = _BRACKETS.fullmatch(value)
    if not equals or parts is None or not is_text(kind, key.lstrip("+")):
        return word
    opening, inside, closing = parts.groups()
    kept = ",".join(f'"{one.strip()}"' if _is_number(one) else one for one in inside.split(","))
    return f"{key}={opening}{kept}{closing}"


def _is_number(value: str) -> bool:
    try:
        read = OverridesParser.create().parse_override(f"value={value}").value()
    except HydraException:
        return False
    return type(read) in (int, float)
