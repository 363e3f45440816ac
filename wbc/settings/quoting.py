"""Words of a command line that Hydra and the shell both read: how a value with special signs is written."""

from __future__ import annotations

import re
import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

# What a value may hold without quotes of Hydra's own.  Blanks are read too, but not at its ends.
_PLAIN = re.compile(r"[A-Za-z0-9_./\\:@+*?%-]+")
_LIST = re.compile(r"\[(.*)\]", re.DOTALL)
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
