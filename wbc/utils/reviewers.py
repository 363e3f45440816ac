"""Names of people: what may stand in tables and pages as such."""

from __future__ import annotations

import re

# No sign that a spreadsheet, a page or a terminal could take for more than text.
_NAME = re.compile(r"\w(?:[\w .'-]{0,58}[\w.])?")


def is_name(text: str) -> bool:
    """Whether it is one: 1 to 60 letters, digits, blanks, or any of . ' _ -, the first a letter or digit."""
    return _NAME.fullmatch(text) is not None
