"""What a reviewer can say of a cell, as numbers in arrays and as words in tables."""

from __future__ import annotations

from collections.abc import Sequence

OPEN = -1  # nothing yet; 0 to C - 1 are the classes
ARTEFACT, UNKNOWN = (
    "(artefact)",
    "(unknown)",
)  # no cell, or none of the classes; brackets keep them from classes
CONFIRMED, CHANGED, NO_CELL, NO_CLASS, UNDONE = "confirmed", "changed", "artefact", "unknown", "undone"


class Verdicts:
    """The words of C classes and of the two further verdicts; "" for none."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.words = (*classes, ARTEFACT, UNKNOWN)
        self._places = {word: place for place, word in enumerate(self.words)}

    def word(self, verdict: int) -> str:
        """As tables have it."""
        return "" if verdict == OPEN else self.words[verdict]

    def number(self, word: str) -> int:
        """As arrays have it.  Raises KeyError for another word."""
        return OPEN if word == "" else self._places[word]

    def kind(self, verdict: int, prediction: int) -> str:
        """What it makes of the prediction."""
        if verdict >= len(self.classes):
            return NO_CELL if self.words[verdict] == ARTEFACT else NO_CLASS
        return CONFIRMED if verdict == prediction else CHANGED
