"""The settings of `wbc review` as a typed object; values and their reasons stand in conf/review/."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from wbc.settings.paths import absolute
from wbc.settings.predict import TableName
from wbc.settings.values import STRICT, Port, broken_rule
from wbc.utils.reviewers import is_name


def _reviewer(name: str | None) -> str | None:
    if name is not None and not is_name(name):
        raise broken_rule("expected 1 to 60 letters, digits, blanks, or any of . ' _ -")
    return name


@dataclass(config=STRICT, kw_only=True)
class ReviewConfig:
    """Which predictions are reviewed, where decisions are kept, and where the page is."""

    predictions: Annotated[str, Field(examples=["<folder that wbc predict wrote>"])]
    output: str | None = None
    table: TableName
    reviewer: Annotated[str | None, AfterValidator(_reviewer)] = None
    known_cells: str | None = None
    host: str
    port: Port

    def with_absolute_paths(self) -> ReviewConfig:
        """The same with paths that hold from any folder."""
        return replace(
            self,
            predictions=absolute(self.predictions),
            output=absolute(self.output),
            known_cells=absolute(self.known_cells),
        )
