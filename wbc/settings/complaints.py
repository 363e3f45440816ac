"""What is said of settings that do not hold: which key, its value, and the mend."""

from __future__ import annotations

from typing import Any

from pydantic_core import ErrorDetails

from wbc.settings.keys import examples, nearest
from wbc.settings.values import RULE

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a word",
    "list": "a list, as [a, b]",
    "dict": "names with values, as {a: 1, b: 2}",
    "dataclass": "settings, as {a: 1, b: 2}",
}  # by the first word of pydantic's type of error


def complaint(kind: type, error: ErrorDetails, given: dict[str, Any]) -> str:
    """One of pydantic's errors in the words of a user of `kind`, whose settings `given` did not hold."""
    places = list(error["loc"])
    if int in map(type, places):  # an item of a list: the whole list is shown
        places = places[: list(map(type, places)).index(int)]
    key, sort = ".".join(map(str, places)), error["type"]
    if sort in ("unexpected_keyword_argument", "extra_forbidden"):
        return unknown_key(kind, key)
    if sort in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return missing_key(kind, key)
    if sort == "value_error":  # a rule that several keys break, and that names them from its section on
        return f"{key}.{error['ctx']['error']}" if key else str(error["ctx"]["error"])
    return f"{key}={shown(_value(given, places))}: {_sentence(error)}"


def unknown_key(kind: type, key: str) -> str:
    """What is said of a key that no setting has."""
    found = nearest(kind, key)
    return f"{key} is not a setting" + (f"; the nearest that exists is {found}" if found else "")


def missing_key(kind: type, key: str) -> str:
    """What is said of a key that has no value."""
    example = next(iter(examples(kind, key)), "<value>")
    return f"{key} is not given: give {key}={example}"


def shown(value: Any) -> str:
    """A value as one writes it in YAML and Python alike; null for None."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def _sentence(error: ErrorDetails) -> str:
    if error["type"] == RULE:
        return error["ctx"]["sentence"]
    if error["type"] == "literal_error":
        return f"expected one of {error['ctx']['expected'].replace(' or ', ', ')}"
    words = _EXPECTED.get(error["type"].split("_")[0])
    return f"expected {words}" if words else error["msg"]


def _value(given: Any, places: list[Any]) -> Any:
    for place in places:
        given = given.get(place) if isinstance(given, dict) else None
    return given
