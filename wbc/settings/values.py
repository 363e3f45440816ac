"""Types that settings of several commands share: what a value may be, and what is said of one that is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

from wbc.settings.quoting import in_shell

BY_FOLDER = "folder"  # images are grouped by folder; any other word tells groups in another way
RULE = "wbc_rule"  # the type of an error whose message is said of the key and its value

# Of every settings class.  Text that YAML takes for a number (name=5) stays text.
STRICT = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

Value = TypeVar("Value")


def expected(phrase: str) -> WrapValidator:
    """Said of a value whose type or range does not hold: "<key>=<value>: expected <phrase>"."""

    def validated(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise broken_rule(f"expected {phrase}") from error

    return WrapValidator(validated)


def broken_rule(sentence: str) -> PydanticCustomError:
    """For a validator of one key to raise: the sentence follows "<key>=<value>: "."""
    return PydanticCustomError(RULE, "{sentence}", {"sentence": sentence})


def one_of(choices: Sequence[str]) -> AfterValidator:
    """The value is one of `choices`, or None where the type allows it."""

    def chosen(value: str | None) -> str | None:
        if value is not None and value not in choices:
            raise broken_rule(f"expected one of {', '.join(choices)}")
        return value

    return AfterValidator(chosen)


def _as_list(value: Any) -> Any:
    """One word without brackets is a list of one."""
    if isinstance(value, (list, tuple)):
        return list(value)
    return [] if value is None else [value]


def _distinct(values: list[Value]) -> list[Value]:
    if len(set(values)) < len(values):
        raise broken_rule("one is named twice")
    return values


_HOW_TO_GROUP = (
    f"{BY_FOLDER}, or a pattern of the file names with one (group) in brackets, as "
    f"{in_shell('data.group', '^([^_]+)_')}"
)


def _group(how: str | None) -> str | None:
    """BY_FOLDER, or a regular expression with one group."""
    if how is None or how == BY_FOLDER:
        return how
    try:
        found = re.compile(how).groups
    except re.error as error:
        raise broken_rule(f"no regular expression ({error}); expected {_HOW_TO_GROUP}") from error
    if found != 1:
        raise broken_rule(f"{found} groups in brackets, where one tells the group; expected {_HOW_TO_GROUP}")
    return how


Count = Annotated[int, Field(ge=1), expected("1 or more")]
CountOrNone = Annotated[int, Field(ge=0), expected("0 or more")]
Amount = Annotated[float, Field(ge=0), expected("0 or more")]
Rate = Annotated[float, Field(gt=0), expected("a positive rate")]
Share = Annotated[float, Field(gt=0, lt=1), expected("0 < share < 1")]
ShareOrNone = Annotated[float, Field(ge=0, lt=1), expected("0 <= share < 1")]
Seed = Annotated[int, Field(ge=0, lt=2**32), expected("0 to 2**32 - 1")]
Workers = Annotated[int | None, Field(ge=0), expected("0 or more, or null to choose")]
PerClass = Annotated[int | None, Field(ge=1), expected("1 or more, or null for all")]
Port = Annotated[int, Field(ge=0, lt=2**16), expected("0 to 65535")]
Words = Annotated[list[str], BeforeValidator(_as_list)]
DistinctWords = Annotated[list[str], BeforeValidator(_as_list), AfterValidator(_distinct)]
Distinct = AfterValidator(_distinct)
AsList = BeforeValidator(_as_list)
# In YAML null stands for none of them: Hydra adds no key to a {} that is there.
Spellings = Annotated[dict[str, str], BeforeValidator(lambda given: {} if given is None else given)]
Superclasses = Annotated[
    dict[str, list[str]], BeforeValidator(lambda given: {} if given is None else given)
]  # likewise
Group = Annotated[str | None, AfterValidator(_group)]

Runtime = Annotated[
    Literal["auto", "torch", "openvino"], expected("auto, torch or openvino")
]  # see `wbc.runtime`

Checkpoint = Annotated[str, Field(examples=["<run>/model.ckpt"])]
