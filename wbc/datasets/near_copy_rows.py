"""What near-copies mean for a manifest: which images stay together, are left out, or are only told."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pandas as pd

from wbc.datasets.near_copies import SURE, UNSURE, Pair, clusters

log = logging.getLogger(__name__)

COLUMNS = ["path", "label", "split", "copy", "copy_label", "copy_split", "likeness", "done"]
TOGETHER, LEFT_OUT, TO_BE_LOOKED_AT = "kept in one split", "left out: ", "to be looked at"
_EXAMPLES = 3
_RANK = {"train": 0, "val": 1}  # of splits, each test above them; of two copies the higher one stays


def pictures(hashes: pd.Series, pairs: Sequence[Pair]) -> pd.Series:
    """Row -> a name that its near-copies share, also by way of others.  hashes: row -> pixel hash."""
    stands_for = clusters(pairs)
    return hashes.map(lambda name: stands_for.get(name, name))


def near_copies_left_out(frame: pd.DataFrame, hashes: pd.Series, pairs: Sequence[Pair]) -> pd.Series:
    """Row -> reason for training images with a sure near-copy in val or a test set, and val images likewise.

    As with identical images, those within a split are kept, and so is an image in two test sets.
    """
    rows_of = _used_rows_of(frame, hashes)
    reasons: dict[int, str] = {}
    for pair in pairs:
        rows = rows_of.get(pair.first, []) + rows_of.get(pair.second, [])
        if not pair.is_sure or len(rows) < 2:
            continue
        ranks = [_rank(frame["split"][row]) for row in rows]
        keeper = rows[ranks.index(max(ranks))]
        for row, rank in zip(rows, ranks, strict=True):
            if rank < max(ranks):
                reasons[row] = (
                    f"near-copy of an image in {frame['split'][keeper]}: {frame['path'][keeper]} "
                    f"(likeness {pair.likeness:.2f})"
                )
    if reasons:
        lost = frame.loc[list(reasons)]
        counts = ", ".join(f"{name} {count}" for name, count in lost["split"].value_counts().items())
        log.warning(
            "left out, near-copies of an image of another split: %d images (%s), e.g. %s",
            *(len(lost), counts, _examples(lost["path"].tolist())),
        )
    return pd.Series(reasons, dtype=object)


def near_copy_table(frame: pd.DataFrame, hashes: pd.Series, pairs: Sequence[Pair]) -> pd.DataFrame:
    """A row a pair with `COLUMNS`, what most needs a look first: two splits or labels, then the least alike.

    frame: with all that is left out.  Of files with the same pixels one stands for all.  Pairs of which a
    picture is left out for another reason are not told.  Warns of pairs that need a look.
    """
    told = ~frame["excluded"].str.startswith("near-copy") & (frame["excluded"] != "")
    rows_of = _used_rows_of(frame.assign(excluded=frame["excluded"].where(told, "")), hashes)
    rows = []
    for pair in pairs:
        if pair.first not in rows_of or pair.second not in rows_of:
            continue
        first, second = (max(rows_of[name], key=lambda row: _rank(frame["split"][row])) for name in pair[:2])
        gone = [frame["path"][row] for row in (first, second) if frame["excluded"][row]]
        done = LEFT_OUT + ", ".join(gone) if gone else TOGETHER if pair.is_sure else TO_BE_LOOKED_AT
        seen = [frame[name][row] for row in (first, second) for name in ("path", "label", "split")]
        rows.append([*seen, round(pair.likeness, 3), done])
    table = pd.DataFrame(rows, columns=COLUMNS)
    across = table["split"] != table["copy_split"]
    contradict = table["label"] != table["copy_label"]
    _tell(table, across, contradict)
    table["concern"] = -(across.astype(int) + contradict.astype(int))
    return table.sort_values(["concern", "likeness"], kind="stable", ignore_index=True)[COLUMNS]


def _tell(table: pd.DataFrame, across: pd.Series, contradict: pd.Series) -> None:
    if table.empty:
        return
    is_sure = table["likeness"] >= SURE
    log.info(
        "near-copies: %d pairs of images show one photograph, %d of them in one split",
        is_sure.sum(),
        (is_sure & ~across).sum(),
    )
    unsure = table[across & (table["done"] == TO_BE_LOOKED_AT)]
    if len(unsure):
        log.warning(
            "%d pairs of images in different splits may be near-copies (likeness %g to %g) and are kept; "
            "look at them in near_copies.csv: %s",
            *(len(unsure), UNSURE, SURE, _examples(_named(unsure))),
        )
    kept = table["done"] == TOGETHER
    for pairs, what in (
        (contradict & kept, "both are kept"),
        (contradict & is_sure & ~kept, "at least one is left out"),
    ):
        if pairs.any():
            log.warning(
                "%d pairs of near-copies have different labels, of which one is wrong; %s. Look at them in "
                "near_copies.csv: %s",
                *(pairs.sum(), what, _examples(_named(table[pairs]))),
            )


def _named(table: pd.DataFrame) -> list[str]:
    columns = ["path", "label", "copy", "copy_label"]
    return [
        f"{path} ({label}) and {copy} ({other})"
        for path, label, copy, other in table[columns].itertuples(index=False)
    ]


def _used_rows_of(frame: pd.DataFrame, hashes: pd.Series) -> dict[str, list[int]]:
    """Pixel hash -> rows that show it and are not left out."""
    used = hashes[frame.index[frame["excluded"] == ""].intersection(hashes.index)]
    return {str(name): list(rows) for name, rows in used.groupby(used, sort=False).groups.items()}


def _rank(split: str) -> int:
    return _RANK.get(split, 2)


def _examples(names: list[str]) -> str:
    return "; ".join(names[:_EXAMPLES]) + ("; ..." if len(names) > _EXAMPLES else "")
