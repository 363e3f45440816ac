"""Durations in words, with their unit: "12 ms", "2 s", "1 min 15 s", "3 h 20 min", "2 d 4 h"."""

from __future__ import annotations

from itertools import pairwise

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def in_words(seconds: float) -> str:
    """The two largest units that a duration of `seconds` has, rounded to the smaller one.

    Below one second in milliseconds, of which two digits count: "8.3 ms", "250 ms".  Zero is "0 s".
    Raises ValueError for a negative number, and for one that is not finite: no clock measured it.
    """
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"a duration of {seconds} s: expected a finite number of 0 or more")
    if 0 < seconds < 0.995:
        return f"{float(f'{1000 * seconds:.2g}'):g} ms"
    for (large, size), (small, step) in pairwise(_UNITS):
        steps = round(seconds / step)
        if steps * step >= size:
            whole, rest = divmod(steps * step, size)
            return f"{whole} {large} {rest // step} {small}" if rest else f"{whole} {large}"
    return f"{round(seconds)} s"
