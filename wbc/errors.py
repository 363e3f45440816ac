"""What can go wrong through no fault of the code: each message says what, where and the mend."""

from __future__ import annotations

from pathlib import Path


class WbcError(Exception):
    """Base of the errors that a command reports in one paragraph, without a traceback."""


class DataError(WbcError):
    """The images or their labels cannot be used as they are."""


class FileError(DataError):
    """One file that cannot be used; `path` says which, `reason` what is wrong and the mend."""

    def __init__(self, path: str | Path, reason: str = "") -> None:
        # Both as args, from which pickle builds it anew; a loader process hands over its message alone.
        super().__init__(path, reason)
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.reason else self.path


class ImageError(FileError):
    """A file that cannot be used as an image."""


class ConfigError(WbcError):
    """A setting is unknown, contradictory or out of range."""


class CheckpointError(WbcError):
    """A file of weights, a model or a run is missing, foreign or does not fit."""
