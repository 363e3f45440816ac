"""Which images are left out, and why: one reason a row, every one counted in the log."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence

import pandas as pd

from wbc.errors import DataError
from wbc.images.boxes import photograph_of
from wbc.settings.quoting import plain_or_quoted

log = logging.getLogger(__name__)

_EXAMPLES = 3  # rows named in a warning


def unreadable(frame: pd.DataFrame, reasons: Mapping[str, str], on_unreadable: str) -> pd.Series:
    """Row -> reason for the files in `reasons` (path -> why).

    on_unreadable: "error" raises DataError with all of them; "skip" leaves them out.
    """
    why = frame["path"].map(reasons).dropna()
    if why.empty:
        return why
    lines = [f"  {path}: {reason}" for path, reason in zip(frame["path"][why.index], why, strict=True)]
    if on_unreadable == "error":
        raise DataError(
            f"{len(lines)} of {len(frame)} images cannot be used:\n"
            + "\n".join(lines)
            + "\nmend or remove them, or leave them out with data.on_unreadable=skip"
        )
    log.warning("left out, unreadable: %d images, named in the manifest", len(lines))
    return "unreadable: " + why


def contradictory(frame: pd.DataFrame, hashes: pd.Series) -> pd.Series:
    """Row -> reason for identical images under different labels: all go, for one of them is wrong."""
    reasons: dict[int, str] = {}
    pictures = 0
    for rows in _clones(frame, hashes):
        labels = sorted(rows["label"].unique())
        if len(labels) < 2:
            continue
        pictures += 1
        for row, label in rows["label"].items():
            other = rows["path"][rows["label"] != label].iloc[0]
            reasons[row] = f"identical image labelled {' and '.join(labels)}: {other}"  # type: ignore[index]
    if reasons:
        log.warning(
            "left out, identical images with different labels: %d images of %d pictures, e.g. %s",
            *(len(reasons), pictures, _examples(frame["path"][list(reasons)].tolist())),
        )
    return pd.Series(reasons, dtype=object)


def copies(frame: pd.DataFrame, hashes: pd.Series) -> pd.Series:
    """Row -> reason for training images that are also in val or a test set, and val images also in a test.

    Copies within a split are kept, and so is an image in two test sets: each is measured on its own.
    """
    reasons: dict[int, str] = {}
    repeated = 0
    rank = {"train": 0, "val": 1}
    for rows in _clones(frame, hashes):
        ranks = rows["split"].map(lambda split: rank.get(split, 2))
        keeper = rows.iloc[int(ranks.to_numpy().argmax())]
        for row in rows.index[ranks < ranks.max()]:
            reasons[row] = f"identical to an image in {keeper['split']}: {keeper['path']}"
        repeated += int(rows[ranks == ranks.max()].duplicated("split").sum())
    if reasons:
        lost = frame.loc[list(reasons)]
        log.warning(
            "left out, identical to an image of another split: %d images (%s), e.g. %s",
            *(len(lost), _counts(lost["split"]), _examples(lost["path"].tolist())),
        )
    if repeated:
        log.info("kept: %d images that repeat another one of the same split and label", repeated)
    return pd.Series(reasons, dtype=object)


def identical_to(frame: pd.DataFrame, hashes: pd.Series) -> pd.Series:
    """Row -> path of another image with the same pixels, left out or not; rows without one are not named."""
    twins: dict[int, str] = {}
    for rows in hashes.groupby(hashes, sort=False).groups.values():
        paths = frame["path"][rows]
        for row in rows[: len(rows) if len(rows) > 1 else 0]:
            twins[row] = paths[paths.index != row].iloc[0]
    return pd.Series(twins, dtype=object)


def warn_of_straddling_groups(frame: pd.DataFrame) -> None:
    """Says in the log which groups (patients, slides) have images in several splits, and keeps them.

    Whether that is a leak depends on what a group is, which only the user knows.
    """
    used = frame[(frame["excluded"] == "") & (frame["group"] != "")]
    splits = used.groupby("group")["split"].agg(lambda names: ", ".join(sorted(set(names))))
    straddling = splits[splits.str.contains(",")]
    if not straddling.empty:
        examples = [f"{group} ({names})" for group, names in straddling.items()]
        log.warning(
            "%d of %d groups have images in several splits, which may flatter the results: %s",
            *(len(straddling), len(splits), _examples(examples)),
        )


def refuse_parted_photographs(frame: pd.DataFrame) -> None:
    """Raises DataError for boxes of one photograph in several splits: they share light, stain and pixels."""
    used = frame[frame["excluded"] == ""]
    photographs = used["path"].map(photograph_of)
    with_boxes = photographs.isin(photographs[photographs != used["path"]])
    splits = used["split"][with_boxes].groupby(photographs[with_boxes]).agg(set)
    parted = splits[splits.map(len) > 1]
    if not parted.empty:
        raise DataError(
            f"{len(parted)} of {len(splits)} photographs have boxes in several splits, e.g. "
            f"{parted.index[0]} in {' and '.join(sorted(parted.iloc[0]))}: give all boxes of a photograph "
            "one split, or take the column split out of the table"
        )


def require_training_images(frame: pd.DataFrame, classes: Sequence[str]) -> None:
    """Raises DataError for classes without a usable training image."""
    train = frame[(frame["split"] == "train") & (frame["excluded"] == "")]
    absent = [name for name in classes if name not in set(train["label"])]
    if absent:
        left_out = ((frame["excluded"] != "") & frame["label"].isin(absent)).sum()
        there = [plain_or_quoted(name) for name in classes if name not in absent]
        without = shlex.quote(f"data.classes=[{','.join(there)}]")
        raise DataError(
            f"no training image of {', '.join(absent)} ({left_out} images of that label left out); add some, "
            "map another folder to it with data.aliases, or take it out of data.classes"
            + (f", as in {without}" if len(there) > 1 else "")
        )


def require_images_in_splits(frame: pd.DataFrame) -> None:
    """Raises DataError for validation or test images of which none is left."""
    used = set(frame.loc[frame["excluded"] == "", "split"])
    for split in sorted(set(frame["split"]) - used - {""}):
        reasons = frame.loc[frame["split"] == split, "excluded"]
        raise DataError(
            f"all {len(reasons)} images of {split} are left out ({reasons.iloc[0]}, ...): give other images, "
            "or leave the set out and let it be made from the training images"
        )


def _clones(frame: pd.DataFrame, hashes: pd.Series) -> list[pd.DataFrame]:
    """The used rows that show the same picture, for each picture that occurs more than once."""
    known = hashes[frame.index[frame["excluded"] == ""].intersection(hashes.index)]
    known = known[known.duplicated(keep=False)]
    return [frame.loc[rows] for rows in known.groupby(known, sort=False).groups.values()]


def _counts(column: pd.Series) -> str:
    return ", ".join(f"{name} {count}" for name, count in column.value_counts(sort=False).items())


def _examples(names: list[str]) -> str:
    return "; ".join(names[:_EXAMPLES]) + ("; ..." if len(names) > _EXAMPLES else "")
