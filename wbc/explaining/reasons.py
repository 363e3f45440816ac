"""The columns of explanations.csv that say in words why a cell has its class."""

from __future__ import annotations

from collections.abc import Mapping

from wbc.plain.words import Reasons

COLUMNS = ("words_for", "words_against", "words_alone")


def reason_columns(reasons: Reasons) -> dict[str, str]:
    """Column -> text."""
    return dict(zip(COLUMNS, reasons, strict=True))


def reasons_of(row: Mapping[str, str]) -> Reasons | None:
    """What a row tells; None of a model without words."""
    return Reasons(*(row[name] for name in COLUMNS)) if row.get(COLUMNS[-1]) else None
