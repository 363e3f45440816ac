"""The model that made the predictions under review: where it is, and whether it is still the same file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wbc.errors import CheckpointError
from wbc.settings.layout import SOURCES
from wbc.utils.files import file_hash, read_json


@dataclass(frozen=True)
class AnsweringModel:
    """path: of its file, as the predictions say; None where they do not.  predictions: their folder."""

    path: Path | None
    predictions: Path

    @property
    def missing(self) -> str:
        """Why it cannot be used here, in a sentence; "" where its file is at hand."""
        if self.path is None:
            return "The predictions do not say which model made them."
        if not self.path.is_file():
            return f"The model that made the predictions is not at hand: there is no file {self.path}."
        return ""

    def checked(self) -> Path:
        """Its file, once more looked at.

        Raises CheckpointError where it is not at hand, or another than the one that made the predictions.
        """
        if self.path is None or self.missing:
            raise CheckpointError(self.missing)
        if self._hash_then() not in ("", file_hash(self.path)):
            raise CheckpointError(
                f"{self.path} is another model than the one that made the predictions: put that one back"
            )
        return self.path

    def _hash_then(self) -> str:
        """What the predictions tell of its content; "" where they tell nothing."""
        sources = self.predictions / SOURCES
        if not sources.is_file():
            return ""
        try:
            told: Any = read_json(sources)
            return str(told["model"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{sources} is damaged ({error!r:.100}); move it away") from error
