"""The contact sheets of a report: the most confident errors, and right decisions drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

import pandas as pd

from wbc.heat.cams import ClassActivationMap
from wbc.heat.contact_sheet import explained_now, write_contact_sheet
from wbc.heat.methods import Method
from wbc.network.network import Network
from wbc.report.set_result import SetResult
from wbc.utils.short_names import short_names
from wbc.utils.text_tables import percent

_LISTED = 20


def confident_errors(results: Sequence[SetResult]) -> list[list[str]]:
    """The wrong answers with the highest probability over all sets: a short path, set, true class, predicted
    class, probability and status.
    """
    tables = [_wrong(result).assign(data=result.name) for result in results]
    worst = pd.concat(tables).sort_values("probability", ascending=False, kind="stable").head(_LISTED)
    names = short_names([PurePath(path) for path in worst["path"]])
    return [
        [name, row["data"], row["label"], row["predicted"], percent(row["probability"]), row["status"]]
        for name, row in zip(names, worst.to_dict("records"), strict=True)
    ]


def write_error_sheet(path: Path, result: SetResult, network: Network) -> None:
    """The most confident errors of each true class with their heat; no file where there is no error."""
    worst = _wrong(result).sort_values("probability", ascending=False, kind="stable")
    _write(path, f"{result.name}: most confident errors", worst, network)


def write_right_sheet(path: Path, result: SetResult, network: Network, seed: int) -> None:
    """Right decisions of each class, drawn by `seed`, with their heat; no file where there are none."""
    decisions = _decisions(result)
    right = decisions[decisions["predicted"] == decisions["label"]]
    _write(path, f"{result.name}: right decisions", right.sample(frac=1, random_state=seed), network)


def _write(path: Path, title: str, rows: pd.DataFrame, network: Network) -> None:
    if rows.empty:
        path.unlink(missing_ok=True)  # of an earlier, interrupted writing
        return
    method = Method("gradcam", [], ClassActivationMap(network, "gradcam"))
    write_contact_sheet(path, title, method.name, rows, explained_now(network, method), network.prepare)


def _wrong(result: SetResult) -> pd.DataFrame:
    decisions = _decisions(result)
    return decisions[decisions["predicted"] != decisions["label"]]


def _decisions(result: SetResult) -> pd.DataFrame:
    """As `write_contact_sheet` takes them, with the status; N rows."""
    answers = result.answers
    return result.of.rows[["path", "label"]].assign(
        predicted=answers.labels,
        probability=answers.probabilities.max(axis=1).astype(float),
        target=answers.labels,
        status=answers.status,
    )
