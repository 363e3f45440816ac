"""The decisions on labelled sets as rows: which were wrong, and which were taken to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import pandas as pd

from wbc.plain.answers import ANSWERED
from wbc.report.set_result import SetResult
from wbc.utils.short_names import short_names


def decisions(result: SetResult) -> pd.DataFrame:
    """As `wbc.heat.thumbnails.Row` has them, with `data`, the set's name, and `status`; N rows."""
    answers = result.answers
    return (
        result.of.rows[["path", "label"]]
        .reset_index(drop=True)
        .assign(
            data=result.name,
            predicted=answers.labels,
            probability=answers.probabilities.max(axis=1).astype(float),
            target=answers.labels,
            status=answers.status,
        )
    )


def wrong_decisions(results: Sequence[SetResult]) -> pd.DataFrame:
    """Those of all sets together, the most probable first."""
    rows = pd.concat([decisions(result) for result in results], ignore_index=True)
    wrong = rows[rows["predicted"] != rows["label"]]
    return wrong.sort_values("probability", ascending=False, kind="stable")


def right_decisions(result: SetResult, seed: int) -> pd.DataFrame:
    """In an order drawn by `seed`."""
    rows = decisions(result)
    return rows[rows["predicted"] == rows["label"]].sample(frac=1, random_state=seed)


_EXAMPLES = (3, 3, 2)  # answered rightly, answered wrongly, held back


def examples(result: SetResult, seed: int) -> pd.DataFrame:
    """At most eight rows, drawn by `seed`: some answered rightly, some answered wrongly, some held back.

    A model without a rule answers everything.  Where there are too few of a kind, the others are more.
    """
    rows = decisions(result).sample(frac=1, random_state=seed)
    answered = (rows["status"] == ANSWERED) | (not result.is_calibrated)
    is_right = rows["predicted"] == rows["label"]
    kinds = [rows[answered & is_right], rows[answered & ~is_right], rows[~answered]]
    first = pd.concat([kind.head(number) for kind, number in zip(kinds, _EXAMPLES, strict=True)])
    more = rows.drop(first.index).head(sum(_EXAMPLES) - len(first))
    chosen = first.index.union(more.index)
    return pd.concat([kind[kind.index.isin(chosen)] for kind in kinds])


def image_names(results: Sequence[SetResult]) -> dict[str, str]:
    """Path -> the end of it by which it differs from all others of these sets."""
    paths = sorted({path for result in results for path in result.of.rows["path"]})
    return dict(zip(paths, short_names([PurePath(path) for path in paths]), strict=True))
