"""How few labelled cells a head can be refitted to, and how few say little."""

from __future__ import annotations

from collections.abc import Mapping

FEWEST = 5  # cells; a fold of fewer than one is none
FEW = 10  # of a class; with fewer a figure may be chance (docs/results/adapting.md)


def lacking_to_adapt(counts: Mapping[str, int], apart: int) -> str:
    """What is to be given before a head can be refitted and cross-validated, in words; "" for nothing.

    counts: cells of each class.  apart: of the class with most, the images or photographs, from which one can
    be held out.
    """
    for holds, needed in (
        (sum(counts.values()) >= FEWEST, f"{FEWEST} or more"),
        (sum(count > 0 for count in counts.values()) >= 2, "two classes or more"),
        (apart >= 2, "a class with two or more, in different photographs"),
    ):
        if not holds:
            return needed
    return ""
