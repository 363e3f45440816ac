"""The settings of `wbc predict` as a typed object; values and their reasons stand in conf/predict/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from wbc.settings.paths import absolute, model_path
from wbc.settings.values import STRICT, Checkpoint, Count, Runtime, Workers, broken_rule

TABLES = (".csv", ".parquet")


def _table_name(name: str) -> str:
    if Path(name).suffix not in TABLES or Path(name).name != name:
        raise broken_rule(f"expected a file name that ends in {' or '.join(TABLES)}")
    return name


TableName = Annotated[str, AfterValidator(_table_name)]


@dataclass(config=STRICT, kw_only=True)
class PredictConfig:
    """Which model answers for which images, and where the answers lie."""

    checkpoint: Checkpoint
    images: Annotated[str, Field(examples=["<file, folder, list.txt or list.csv>"])]
    output: str | None = None
    table: TableName
    group: str | None = None
    fields: bool = False
    overlap: bool = False
    batch_size: Count
    workers: Workers = None
    accelerator: str
    runtime: Runtime = "auto"
    devices: Count
    num_nodes: Count

    @model_validator(mode="after")
    def _rules(self) -> PredictConfig:
        if self.overlap and not self.fields:
            raise ValueError("overlap=true is of photographs of whole fields: give fields=true as well")
        return self

    def with_absolute_paths(self) -> PredictConfig:
        """The same with paths that hold from any folder."""
        return replace(
            self,
            checkpoint=model_path(self.checkpoint),
            images=absolute(self.images),
            output=absolute(self.output),
        )
