"""Tables for people: Markdown that also lines up in a terminal."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

NOT_MEASURED = "–"
NUMBER = re.compile(rf"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?( ?%)?|{NOT_MEASURED}")

PHASE_TITLES = {"head": "without fine-tuning", "finetune": "with fine-tuning"}
ANSWERS = "answers"  # beside the phases: the final model with what it answers by beyond network and image
_TITLES = PHASE_TITLES | {ANSWERS: "as it answers"}


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


def comparison_table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The results of a run as the paper shows them: per test set, without and with fine-tuning.

    results: phase ("head", "finetune", or ANSWERS), then test set, then the record of
    `classification_metrics`.
    Returns one captioned Markdown table a test set, with a column for each phase in `results`. "–" stands
    where there is nothing to measure, such as the recall of a class without images.
    Raises ValueError for no results, an unknown phase, and phases tested on different images.
    """
    phases = [phase for phase in _TITLES if phase in results]
    unknown = sorted(set(results) - set(phases))
    if unknown or not phases:
        raise ValueError(f"results of phases {unknown or 'none'}: expected {' and/or '.join(_TITLES)}")
    test_sets = list(dict.fromkeys(name for phase in phases for name in results[phase]))
    if not test_sets:
        raise ValueError(f"no test set in the results of {' and '.join(phases)}: there is nothing to compare")
    return "\n\n".join(
        _test_set_table(
            name, {phase: results[phase][name] for phase in phases if name in results[phase]}, phases
        )
        for name in test_sets
    )


def _test_set_table(name: str, by_phase: Mapping[str, Mapping[str, Any]], phases: Sequence[str]) -> str:
    supports = [
        {key: row["support"] for key, row in record["per_class"].items()} for record in by_phase.values()
    ]
    support = supports[0]
    if any(other != support for other in supports):
        raise ValueError(f"the phases were tested on different images of {name}: {supports}; test them again")

    def row(title: str, write: Callable[[float | None], str], *keys: str) -> list[str]:
        cells = [title]
        for phase in phases:
            value: Any = by_phase.get(phase)
            for key in keys:
                value = None if value is None else value[key]
            cells.append(write(value))
        return cells

    rows = [
        row("accuracy", percent, "accuracy"),
        row("macro recall", percent, "macro_recall"),
        row("macro precision", percent, "macro_precision"),
        row("macro F1", percent, "macro_f1"),
        row("Cohen's kappa", ratio, "cohen_kappa"),
        row("macro AUROC", ratio, "macro_auroc"),
    ]
    rows += [
        row(f"{label} recall (n = {images:,})", percent, "per_class", label, "recall")
        for label, images in support.items()
    ]
    absent = [label for label, images in support.items() if images == 0]
    caption = f"**{name}**: {sum(support.values()):,} images"
    if absent:
        caption += f"; none of {', '.join(absent)}, which the macro averages leave out"
    return f"{caption}\n\n{markdown_table(['', *(_TITLES[phase] for phase in phases)], rows)}"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def percent(value: float | None) -> str:
    """A share of 1 as percentage; `NOT_MEASURED` for None."""
    return NOT_MEASURED if value is None else f"{100 * value:.1f} %"


def ratio(value: float | None) -> str:
    """A number with three decimals; `NOT_MEASURED` for None."""
    return NOT_MEASURED if value is None else f"{value:.3f}"
