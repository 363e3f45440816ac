"""What the page may send: which cells it looks for, and what a reviewer says of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wbc.reviewing.order import ORDERS
from wbc.utils.reviewers import is_name

MOST_CELLS = 10_000  # of one decision
MOST_SHOWN = 500  # of one page of the grid
ALL, TO_DO, SEEN, CHANGED, SPLIT = "all", "open", "seen", "changed", "split"


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("1 to 60 letters, digits, blanks, or any of . ' _ -")
    return text


Reviewer = Annotated[str, AfterValidator(_name)]
_STRICT = ConfigDict(extra="forbid")


class Decide(BaseModel):
    """verdict: a class, or one of the further ones; null confirms each as it is called."""

    model_config = _STRICT
    reviewer: Reviewer
    cells: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=MOST_CELLS)]
    verdict: str | None


class Undo(BaseModel):
    model_config = _STRICT
    reviewer: Reviewer


class Explain(BaseModel):
    model_config = _STRICT
    cell: Annotated[int, Field(ge=0)]


class Settle(BaseModel):
    """step: measure what the labelled cells gain, use what was measured, or cancel what runs."""

    model_config = _STRICT
    reviewer: Reviewer
    step: Literal["measure", "use", "cancel"]


class Search(BaseModel):
    """Which cells of which order: `count` after or before a place in it, of those that all filters leave."""

    model_config = _STRICT
    reviewer: Reviewer | None = None
    order: str = ORDERS[0]
    show: str = ALL
    status: int | None = None
    group: int | None = None
    verdict: int | None = None  # what a cell counts as now
    name: Annotated[str, Field(max_length=200)] = ""
    after: int = -1
    before: int | None = None
    count: Annotated[int, Field(ge=1, le=MOST_SHOWN)] = 60
