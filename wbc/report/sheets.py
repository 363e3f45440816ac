"""The contact sheets of a report, for print: the most confident errors, and right decisions at random."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from wbc.heat.contact_sheet import write_contact_sheet
from wbc.heat.thumbnails import HeatOf
from wbc.images.prepare import Prepare
from wbc.report.decisions import right_decisions, wrong_decisions
from wbc.report.set_result import SetResult


def write_sheets(
    folder: Path, file: str, result: SetResult, heat_of: HeatOf, method: str, prepare: Prepare, seed: int
) -> None:
    """errors_<file>.png, the most confident errors of each true class with their heat, and
    explanations_<file>.png, right decisions of each class, drawn by `seed`; no file where there are none.
    """
    sheets = {
        "errors": ("most confident errors", wrong_decisions([result])),
        "explanations": ("right decisions", right_decisions(result, seed)),
    }
    for kind, (what, rows) in sheets.items():
        _write(folder / f"{kind}_{file}.png", f"{result.name}: {what}", method, rows, heat_of, prepare)


def _write(
    path: Path, title: str, method: str, rows: pd.DataFrame, heat_of: HeatOf, prepare: Prepare
) -> None:
    if rows.empty:
        path.unlink(missing_ok=True)  # of an earlier, interrupted writing
        return
    write_contact_sheet(path, title, method, rows, heat_of, prepare)
