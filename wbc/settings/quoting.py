"""Words of a command line that Hydra and the shell both read: how a value with special signs is written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

# What a value may hold without quotes of Hydra's own.  Blanks are read too, but not at its ends.
_PLAIN = re.compile(r"[A-Za-z0-9_./\\:@+*?%-]+")
_LIST = re.compile(r"\[(.*)\]", re.DOTALL)
_ESCAPED = re.compile(r"[()\[\]{}:=,]|^ | $|\\(?=\\|$)")  # in the key of a mapping
_OPENING, _CLOSING = "[{(", "]})"


def plain_or_quoted(value: str) -> str:
    """A value as Hydra takes it for one word, whatever signs it holds."""
    if _PLAIN.fullmatch(value):
        return value
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), value)
    return f'"{escaped}"'


def in_shell(key: str, value: str) -> str:
    """`key=value` as it is typed into a shell."""
    return shlex.quote(f"{key}={plain_or_quoted(value)}")


def mapping_in_shell(key: str, values: Mapping[str, str]) -> str | None:
    """`key={name: value, ...}` as it is typed into a shell; None where a name cannot be typed as a key.

    Hydra knows no quotes in keys: some signs can be escaped, others cannot be written at all.
    """
    items = [f"{_ESCAPED.sub(_escaped, name)}: {plain_or_quoted(value)}" for name, value in values.items()]
    word = f"{key}={{{', '.join(items)}}}"
    if not can_be_read(word):
        return None
    read = OverridesParser.create().parse_override(word).value()
    # A name that reads as a number or as null would be another one.
    is_same = isinstance(read, dict) and [str(name) for name in read] == list(values)
    return shlex.quote(word) if is_same else None


def _escaped(sign: re.Match[str]) -> str:
    return "\\" + sign[0]


def mended(word: str) -> str:
    """`key=value` as it is typed into a shell, with quotes of Hydra's own where Hydra cannot read it without.

    In a list, the parts that need quotes get them.
    """
    if can_be_read(word):
        return shlex.quote(word)
    key, _, value = word.partition("=")
    if found := _LIST.fullmatch(value.strip()):
        items = [plain_or_quoted(part.strip()) for part in found[1].split(",")]
        return shlex.quote(f"{key}=[{','.join(items)}]")
    return in_shell(key, value)


def can_be_read(word: str) -> bool:
    """Whether `word` is an override as Hydra reads them."""
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True


def is_open(word: str) -> bool:
    """Whether a bracket of the word is not closed in it, because the shell parted it at a blank."""
    return sum(map(word.count, _OPENING)) > sum(map(word.count, _CLOSING))
