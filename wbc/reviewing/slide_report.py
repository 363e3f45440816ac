"""The report of a reviewed slide, to print and to sign: counts, who looked, and the cells in question."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from wbc.errors import ImageError
from wbc.pages.cards import Card, card_grid
from wbc.pages.html import Section, fragment, picture, table, write_page
from wbc.reviewing.cells import Cells
from wbc.reviewing.pictures import Pictures
from wbc.reviewing.tally import DISAGREED
from wbc.reviewing.verdicts import OPEN, Verdicts
from wbc.utils.short_names import shortened

_MOST_CARDS = 60  # of each kind; reviewed.csv has all


def write_report(
    path: Path,
    cells: Cells,
    verdicts: Mapping[str, np.ndarray],
    shared: np.ndarray,
    record: dict[str, Any],
    pictures: Pictures,
) -> None:
    """The page.  verdicts: of each reviewer, (N,); shared: of all.  record: what differential.json holds."""
    total = record["total"]
    sections = [
        Section(
            "",
            [
                _lead(total),
                _warning(total),
                record["caution"],
                table(["", ""], _facts(record, total), "This review"),
            ],
        ),
        Section("Differential", _differentials(record)),
        Section("Who looked", _reviewers(record)),
        *_cell_sections(cells, verdicts, shared, pictures),
    ]
    write_page(path, f"Reviewed white cell differential: {record['title']}", sections)


def _lead(total: dict[str, Any]) -> str:
    seen, cells = total["decided"] + total["disagreed"], total["cells"]
    who = "every one" if seen == cells else f"{seen:,}"
    return f"{cells:,} white cells were found and named by a program; a person looked at {who} of them."


def _warning(total: dict[str, Any]) -> str:
    left = total["cells"] - total["decided"] - total["disagreed"]
    said = []
    if left:
        said.append(f"{left:,} cells are counted as the program named them.")
    if total["disagreed"]:
        said.append(
            f"About {total['disagreed']:,} cells reviewers disagree; they count as the program named them."
        )
    return " ".join(said)


def _facts(record: dict[str, Any], total: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Predictions", record["predictions"]),
        ("Model", record["model"] or "not told"),
        ("Written", record["written"]),
        ("Program sure of", f"{record['answered']:,} cells (status answered)"),
        ("Changed by a person", f"{total['changed']:,} cells"),
        ("Artefacts, not counted", f"{total['artefacts']:,}"),
        ("Unknown cells, not counted", f"{total['unknown']:,}"),
        ("Program", f"wbc {record['version']} on {platform.node() or 'this machine'}"),
    ]


def _differentials(record: dict[str, Any]) -> Iterator[str]:
    yield _differential(record["total"], "All cells")
    yield (
        "Counts after review: the person's class where there is one, the program's elsewhere. Intervals are "
        "exact 95 % intervals (Clopper and Pearson) of counting so many cells; wrong names are not in them."
    )
    for name, one in record["groups"].items():
        yield _differential(one, f"Slide {name or '(none told)'}")


def _differential(one: dict[str, Any], caption: str) -> Markup:
    rows = [
        [name, *_columns(share), *_columns(one["machine"]["classes"][name])]
        for name, share in one["reviewed"]["classes"].items()
    ]
    rows.append(["total", f"{one['reviewed']['images']:,}", "", "", f"{one['machine']['images']:,}", "", ""])
    headers = ["", "reviewed", "%", "95 % interval", "program", "%", "95 % interval"]
    return table(headers, rows, caption)


def _columns(share: dict[str, Any]) -> tuple[str, str, str]:
    if share["share"] is None:
        return "0", "–", "–"
    limits = f"{100 * share['low']:.1f} to {100 * share['high']:.1f}"
    return f"{share['count']:,}", f"{100 * share['share']:.1f}", limits


def _reviewers(record: dict[str, Any]) -> Iterator[str]:
    if not record["reviewers"]:
        yield "Nobody has looked at a cell yet."
    else:
        rows = [[name, f"{count:,}"] for name, count in record["reviewers"].items()]
        yield table(["", "cells looked at"], rows, "Reviewers")
    if record["agreement"]:
        rows = [
            [
                " and ".join(pair["reviewers"]),
                f"{pair['cells']:,}",
                f"{100 * pair['share']:.1f}",
                f"{100 * pair['low']:.1f} to {100 * pair['high']:.1f}",
                "–" if pair["kappa"] is None else f"{pair['kappa']:.2f}",
            ]
            for pair in record["agreement"]
        ]
        yield table(
            ["", "cells of both", "% alike", "95 % interval", "kappa"], rows, "Agreement, and Cohen's kappa"
        )
    yield "Every decision is in decisions.csv. This program is for research; it is no medical device."
    yield fragment("signature.html")


def _cell_sections(
    cells: Cells, verdicts: Mapping[str, np.ndarray], shared: np.ndarray, pictures: Pictures
) -> Iterator[Section]:
    classes = len(cells.classes)
    changed = (shared >= 0) & (shared < classes) & (shared != cells.prediction)
    unanswered = (shared == OPEN) & ~cells.answered
    kinds = [
        ("Changed by a person", changed),
        ("Artefacts", shared == classes),
        ("Unknown cells", shared == classes + 1),
        ("Reviewers disagree", shared == DISAGREED),
        ("Doubtful, and not looked at", unanswered),
    ]
    for title, chosen in kinds:
        found = np.flatnonzero(chosen)
        if len(found):
            shown = found[np.argsort(cells.confidence[found], kind="stable")][:_MOST_CARDS].tolist()
            more = f"The {len(shown)} with the least probability of {len(found):,}; reviewed.csv has all."
            cards = card_grid(_cards(cells, verdicts, shown, pictures), small=True)
            parts = [more if len(found) > len(shown) else "", cards]
            yield Section(f"{title}: {len(found):,}", parts)


def _cards(
    cells: Cells, verdicts: Mapping[str, np.ndarray], shown: Sequence[int], pictures: Pictures
) -> Iterator[Card]:
    words = Verdicts(cells.classes)
    for cell in shown:
        box = cells.box(cell)
        file = shortened(Path(cells.photograph_path(cell)).name, 40)
        name = file if box is None else f"{file} at {box.x0}, {box.y0}"
        said = [
            f"{reviewer}: {words.word(int(one[cell])).strip('()')}"
            for reviewer, one in verdicts.items()
            if one[cell] != OPEN
        ]
        said.append(f"program: {cells.classes[cells.prediction[cell]]} {100 * cells.confidence[cell]:.0f} %")
        try:
            pixels = pictures.small(cell)
        except ImageError as error:
            yield Card(Markup(), name, cells.path(cell), [*said, f"not shown: {error.reason}"])
        else:
            shown_as = picture(pixels, f"{name}, {said[0]}", photograph=True, lazy=False)
            yield Card(shown_as, name, cells.path(cell), said)
