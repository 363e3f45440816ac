"""Tables for people: Markdown that also lines up in a terminal."""

import re
import statistics
from collections.abc import Mapping, Sequence

NOT_MEASURED = "–"
NUMBER = re.compile(rf"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?( ?%)?|{NOT_MEASURED}")


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A pipe table with padded columns, without a newline at its end.

    Cells are written with `str`; a pipe in one is escaped and a line break becomes a space. A column of
    numbers, percentages and "–" is aligned to the right.
    Raises ValueError for no columns, and for a row that is shorter or longer than the headers.
    """
    if not headers:
        raise ValueError("a table needs at least one column")
    for index, row in enumerate(rows):
        if len(row) != len(headers):
            raise ValueError(
                f"row {index} of the table has {len(row)} cells for {len(headers)} headers: {row}"
            )

    columns = [[_cell(value) for value in column] for column in zip(headers, *rows, strict=True)]
    numeric = [len(column) > 1 and all(map(NUMBER.fullmatch, column[1:])) for column in columns]
    widths = [max(3, *map(len, column)) for column in columns]  # a delimiter cell is three characters: --:
    delimiters = [
        "-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, numeric, strict=True)
    ]
    padded = [
        [cell.rjust(width) if right else cell.ljust(width) for cell in column]
        for column, width, right in zip(columns, widths, numeric, strict=True)
    ]
    head, *body = zip(*padded, strict=True)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, delimiters, *body))


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def percent(value: float | None) -> str:
    """A share of 1 as percentage; `NOT_MEASURED` for None."""
    return NOT_MEASURED if value is None else f"{100 * value:.1f} %"


def ratio(value: float | None) -> str:
    """A number with three decimals; `NOT_MEASURED` for None."""
    return NOT_MEASURED if value is None else f"{value:.3f}"


def with_interval(value: float | None, interval: Mapping[str, float | None]) -> str:
    """A percentage and its 95 % interval, such as "98.4 % [97.1, 99.2]"."""
    if value is None or interval["low"] is None or interval["high"] is None:
        return percent(value)
    return f"{percent(value)} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"


def mean_of_labs(values: Sequence[float | None]) -> float | None:
    """None where one of the values is: a mean over fewer labs would read as one over all."""
    known = [value for value in values if value is not None]
    return round(statistics.mean(known), 6) if known and len(known) == len(values) else None
